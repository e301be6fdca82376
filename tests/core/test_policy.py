"""The policy: which models are refused before anything is generated with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.engine.device import choose_compute
from core.engine.policy import load_policy
from core.errors import ModelError
from core.paths import Home
from tests import tiny


def test_a_tokenizer_without_an_end_token_is_refused(tmp_path: Path) -> None:
    folder = tiny.save_policy(tmp_path / "model")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            kept = json.loads((folder / name).read_text())
            kept.pop("eos_token", None)
            kept.pop("pad_token", None)
            (folder / name).write_text(json.dumps(kept))
    with pytest.raises(ModelError, match="names no end-of-sequence token"):
        load_policy(str(folder), Home.open(tmp_path / "home"), choose_compute())
