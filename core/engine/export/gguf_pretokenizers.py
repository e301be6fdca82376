"""How a tokenizer cuts a text before it looks for tokens, in the words of llama.cpp.

llama.cpp has these cuts built in and knows them by name only. A name that does not fit gives other tokens, and a model
that reads other tokens than it was trained on; so a cut that is not known exactly is refused.

One difference is llama.cpp's own: its cut `tekken` takes combining marks, as in Hindi, for something else than letters.
The check of an export compares the tokens of real questions, and so shows where that matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.engine.export.gguf_architectures import refuse

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LINES = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_ODD = r"[^\r\n\p{L}\p{N}]?"

_PATTERNS: Mapping[str, str] = {
    rf"{_CONTRACTIONS}|{_ODD}\p{{L}}+|\p{{N}}{{1,3}}|{_LINES}": "llama-bpe",
    rf"{_CONTRACTIONS}|{_ODD}\p{{L}}+|\p{{N}}|{_LINES}": "qwen2",
    rf"{_ODD}[{_UPPER}]*[{_LOWER}]+|{_ODD}[{_UPPER}]+[{_LOWER}]*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "tekken",
}
"""The regular expressions of Llama 3 and SmolLM3, of Qwen 2 to 3, and of Mistral since Nemo."""
_WHOLE_WORDS = ("llama-bpe", "tekken")
"""Cuts after which llama.cpp takes a word that is one token as such, without looking at merges."""
_SPACE = "▁"


@dataclass(frozen=True)
class Cut:
    """How texts are cut.

    Attributes:
        model: llama.cpp's kind of tokenizer: `gpt2` works on bytes, `llama` as SentencePiece does.
        name: of the cut.
        prefix: whether a space is put before a text; None where the kind of tokenizer has no such thing.
    """

    model: str
    name: str
    prefix: bool | None = None


def cut(tokenizer: Mapping[str, Any]) -> Cut:
    """What llama.cpp calls the way in which a tokenizer cuts texts.

    Args:
        tokenizer: what tokenizer.json holds.

    Raises:
        ModelError: llama.cpp, or this studio, does not know it.
    """
    model, steps = tokenizer["model"], _steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    if model["type"] != "BPE":
        refuse(f"its tokenizer is of the kind {model['type']}, and only BPE is known")
    if any(step["type"] == "ByteLevel" for step in steps):
        return _bytes(tokenizer, steps)
    if model.get("byte_fallback"):
        return _sentencepiece(tokenizer, steps)
    refuse("its tokenizer works neither on bytes nor as SentencePiece does")


def _bytes(tokenizer: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Cut:
    # llama.cpp composes no characters; texts are in the form NFC nearly always, and then there is nothing to compose.
    normal = [step["type"] for step in _steps(tokenizer.get("normalizer"), "normalizers")]
    if normal not in ([], ["NFC"]):
        refuse(f"its tokenizer changes texts first ({', '.join(normal)}), which llama.cpp does not do")
    name = _name(steps)
    if name is None:
        refuse(f"its pre-tokenizer ({', '.join(str(step['type']) for step in steps)}) is not one that is known")
    if tokenizer["model"].get("ignore_merges") and name not in _WHOLE_WORDS:
        refuse(f"its tokenizer ignores merges (ignore_merges), which llama.cpp does not do after the cut {name}")
    return Cut("gpt2", name)


def _name(steps: Sequence[Mapping[str, Any]]) -> str | None:
    kinds, last = [step["type"] for step in steps], steps[-1]
    if last["type"] != "ByteLevel" or last.get("add_prefix_space"):
        return None
    by_itself = last.get("use_regex", True)
    if kinds == ["ByteLevel"] and by_itself:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and by_itself:
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not by_itself and _isolates(steps[0]):
        return _PATTERNS.get(steps[0]["pattern"].get("Regex", ""))
    return None


def _isolates(step: Mapping[str, Any]) -> bool:
    return step.get("behavior") == "Isolated" and not step.get("invert")


def _sentencepiece(tokenizer: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Cut:
    """A tokenizer for which spaces are `▁`, and which is not cut otherwise."""
    normal = _steps(tokenizer.get("normalizer"), "normalizers")
    replaces = [step for step in normal if _replaces_spaces(step)]
    prepends = [step for step in normal if step["type"] == "Prepend" and step.get("prepend") == _SPACE]
    if len(normal) == len(replaces) + len(prepends):
        if replaces and all(_is_idle(step) for step in steps):
            return Cut("llama", "default", bool(prepends))
        if not normal and [step["type"] for step in steps] == ["Metaspace"] and _keeps_words_together(steps[0]):
            # "first" puts it before the very first character only. A chat begins with a mark, so nothing gets one;
            # llama.cpp would put one after every mark.
            return Cut("llama", "default", steps[0].get("prepend_scheme", "always") == "always")
    refuse("its tokenizer changes texts in a way that llama.cpp does not know")


def _replaces_spaces(step: Mapping[str, Any]) -> bool:
    return bool(step["type"] == "Replace" and step["pattern"] == {"String": " "} and step["content"] == _SPACE)


def _is_idle(step: Mapping[str, Any]) -> bool:
    """Whether it cuts at spaces, of which none is left by then."""
    return bool(step["type"] == "Split" and step["pattern"] == {"String": " "})


def _keeps_words_together(step: Mapping[str, Any]) -> bool:
    return bool(step.get("replacement") == _SPACE and step.get("split") is False)


def _steps(part: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    """The steps of a part of tokenizer.json, which may be absent, a single one or a sequence of them."""
    if part is None:
        return []
    if part["type"] != "Sequence":
        return [part]
    return [step for one in part[inner] for step in _steps(one, inner)]
