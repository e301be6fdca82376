"""What a GGUF file says of reading and writing: the tokens, the marks among them, the chat template.

Everything comes from the model's own tokenizer files, read the way the trainer and `core.chat` read them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from core.chat_template import ChatTemplate
from core.engine.export.gguf_pretokenizers import Cut, cut
from core.errors import ModelError
from core.export.chat_parts import adds_begin
from core.prompts import Message
from core.tokenizer_files import TOKENIZER, read_special_tokens, read_template, read_tokenizer

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_SPACE = "▁"
_PROBE = "a"
_UNMERGED = -1e6
"""The score of a token that no merge leads to; lower than that of any other."""


@dataclass(frozen=True)
class Marks:
    """The numbers of tokens that mean something to programs; None for those a model does not have.

    Attributes:
        end: where an answer ends: the end token of the tokenizer, which training and serving stop at.
        further_ends: others at which the model's own settings for generation stop.
        add_begin: whether programs put `begin` before every text.
    """

    begin: int | None
    end: int
    further_ends: tuple[int, ...]
    unknown: int | None
    padding: int | None
    add_begin: bool


@dataclass(frozen=True)
class Vocabulary:
    """All tokens of a model.

    Attributes:
        tokens: their texts, by number.
        kinds: what each is to llama.cpp.
        merges: which pairs become one, most urgent first.
        template: the chat template, a Jinja program.
    """

    cut: Cut
    tokens: tuple[str, ...]
    kinds: tuple[TokenType, ...]
    merges: tuple[str, ...]
    marks: Marks
    template: str | None


def read_vocabulary(folder: Path, size: int) -> Vocabulary:
    """The vocabulary of the model in a folder.

    Args:
        size: how many tokens the model's own tables have room for; those without a text get a name of their own.

    Raises:
        ModelError: a file is missing or damaged, or llama.cpp would cut texts otherwise.
    """
    raw = _read(folder / TOKENIZER)
    if raw is None:
        raise ModelError(f"{folder} has no {TOKENIZER}, so nothing could be read with it. Merge or copy it again.")
    named = read_special_tokens(folder)
    tokenizer = read_tokenizer(folder, named)
    way = cut(raw)
    template = read_template(folder)
    marks = _marks(folder, tokenizer, named, template)
    tokens, kinds = _tokens(tokenizer, way, marks, size)
    merges = tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in raw["model"]["merges"])
    return Vocabulary(way, tokens, kinds, merges, marks, template)


def _read(file: Path) -> dict[str, Any] | None:
    """A JSON object from a file, or None when there is no such file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelError(f"{file} is not valid JSON ({error}). Merge or copy the model again.") from error


def _marks(folder: Path, tokenizer: Any, named: Mapping[str, str], template: str | None) -> Marks:
    def number(name: str) -> int | None:
        token = named.get(name)
        found: int | None = None if token is None else tokenizer.token_to_id(token)
        return found

    end = number("eos_token")
    if end is None:
        raise ModelError(
            f"The tokenizer in {folder} names no end token (eos_token), so answers would have no end. Name one in "
            "tokenizer_config.json."
        )
    begin = number("bos_token")
    if begin is None:
        begin = (_read(folder / "config.json") or {}).get("bos_token_id")
    return Marks(
        begin=begin,
        end=end,
        further_ends=_further_ends(folder, end),
        unknown=number("unk_token"),
        padding=number("pad_token"),
        add_begin=begin is not None and adds_begin(folder, tokenizer, begin) and _begins(named, template),
    )


def _further_ends(folder: Path, end: int) -> tuple[int, ...]:
    ends = (_read(folder / "generation_config.json") or {}).get("eos_token_id")
    return tuple(one for one in (ends if isinstance(ends, list) else [ends]) if one is not None and one != end)


def _begins(named: Mapping[str, str], template: str | None) -> bool:
    """Whether a chat begins with that mark: the studio's own prompts have it only then.

    Where the template writes it, llama.cpp takes care that it is there once.
    """
    if template is None or "bos_token" not in named:
        return template is None
    chat = ChatTemplate("the model", template, named)
    return chat.text(chat.fit([Message(role="user", content=_PROBE)])).startswith(named["bos_token"])


def _tokens(tokenizer: Any, way: Cut, marks: Marks, size: int) -> tuple[tuple[str, ...], tuple[TokenType, ...]]:
    known = {number: text for text, number in tokenizer.get_vocab(with_added_tokens=True).items()}
    if known and max(known) >= size:
        raise ModelError(
            f"The tokenizer has tokens up to number {max(known)} and the model has room for {size}. They belong to "
            "different models, or the model was not enlarged for added tokens: copy or merge it again."
        )
    added = tokenizer.get_added_tokens_decoder()
    tokens, kinds = [], []
    for number in range(size):
        text = known.get(number, f"[PAD{number}]")
        kind = _kind(number, text, number in known, added.get(number), way, marks)
        # llama.cpp looks for these in the text as it is written, before it turns spaces into their sign.
        plain = way.model == "llama" and kind == TokenType.USER_DEFINED
        tokens.append(text.replace(_SPACE, " ") if plain else text)
        kinds.append(kind)
    return tuple(tokens), tuple(kinds)


def _kind(number: int, text: str, known: bool, added: Any, way: Cut, marks: Marks) -> TokenType:
    if not known:
        return TokenType.UNUSED
    if way.model == "llama":
        if number == marks.unknown:
            return TokenType.UNKNOWN
        if _BYTE.fullmatch(text):
            return TokenType.BYTE
    if added is None:
        return TokenType.NORMAL
    return TokenType.CONTROL if added.special else TokenType.USER_DEFINED


def add_vocabulary(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    """Tell the file how the model reads and writes."""
    writer.add_tokenizer_model(vocabulary.cut.model)
    writer.add_tokenizer_pre(vocabulary.cut.name)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    if vocabulary.cut.model == "llama":
        writer.add_token_scores(_scores(vocabulary.tokens, vocabulary.merges))
    else:
        writer.add_token_merges(vocabulary.merges)
    if vocabulary.cut.prefix is not None:
        writer.add_add_space_prefix(vocabulary.cut.prefix)
    _add_marks(writer, vocabulary.marks)
    if vocabulary.template is not None:
        writer.add_chat_template(vocabulary.template)


def _scores(tokens: Sequence[str], merges: Sequence[str]) -> list[float]:
    """How urgent it is to form each token, the most urgent first, as SentencePiece has it.

    >>> _scores(["a", "b", "ab", "abb"], ["a b", "ab b"])
    [-1000000.0, -1000000.0, 0.0, -1.0]
    """
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault(merge.replace(" ", "", 1), rank)
    return [float(-ranks[token]) if token in ranks else _UNMERGED for token in tokens]


def _add_marks(writer: GGUFWriter, marks: Marks) -> None:
    writer.add_eos_token_id(marks.end)
    if marks.begin is not None:
        writer.add_bos_token_id(marks.begin)
    if marks.unknown is not None:
        writer.add_unk_token_id(marks.unknown)
    if marks.padding is not None:
        writer.add_pad_token_id(marks.padding)
    # llama.cpp stops at each of these, too.
    places = (writer.add_eot_token_id, writer.add_eom_token_id)
    for number, add in zip(marks.further_ends, places, strict=False):
        add(number)
    if len(marks.further_ends) > len(places):
        left = ", ".join(map(str, marks.further_ends[len(places) :]))
        print(
            f"The model's generation_config.json names more end tokens than a GGUF file has room for. The answers' own "
            f"and {len(places)} more are in it; programs may write on after the tokens {left}.",
            flush=True,
        )
    writer.add_add_bos_token(marks.add_begin)
    writer.add_add_eos_token(False)
