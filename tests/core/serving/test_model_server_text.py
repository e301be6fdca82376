"""Text from tokens, one by one: nothing half, nothing lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.engine.policy import load_tokenizer
from core.engine.serving.written_text import WrittenText
from core.paths import Home
from tests.build_model_server import (
    load,
)


def test_characters_of_several_tokens_are_never_sent_in_parts(base: Path) -> None:
    tokenizer = load(base).tokenizer
    text = WrittenText(tokenizer)
    pieces = [text.add(token) for token in tokenizer("心绞痛 ❤️ naïve")["input_ids"]]
    assert "�" not in "".join(pieces)
    assert "".join([*pieces, text.rest()]) == "心绞痛 ❤️ naïve"


@pytest.mark.parametrize("seed", range(30))
def test_the_pieces_of_any_tokens_are_what_the_tokenizer_makes_of_them(base: Path, seed: int) -> None:
    tokenizer = load_tokenizer(str(base), Home(base.parent))[0]
    ids = random.Random(seed).choices(range(400), k=40)  # whole characters, broken ones and special tokens
    text = WrittenText(tokenizer)
    assert "".join([*map(text.add, ids), text.rest()]) == tokenizer.decode(ids, skip_special_tokens=True)
