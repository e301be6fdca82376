"""Runs the part of Go's template language that Modelfiles use, as Ollama does, so that tests can compare texts.

Known: texts, `{{ .Field }}`, `{{ "text" }}`, `if`/`else`/`end`, `not`, `eq`, `range $i, $_ := .Messages`, and the words
for "is it the last message". Anything else is an error. Written after the documentation of Go's text/template and after
Ollama's `template` package: the system prompt is the field `System` and the first of the `Messages`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_ACTION = re.compile(r"\{\{ (.*?) \}\}")
_LAST = "$last := eq (len (slice $.Messages $i)) 1"


def ollama_text(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """What Ollama sends to the model for these messages."""
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    parts = _ACTION.split(template)
    text, end = _run(parts, 0, {"System": system, "Messages": list(messages)}, True)
    assert end == len(parts), "an end without a beginning"
    return text


def _run(parts: Sequence[str], place: int, scope: Mapping[str, object], shown: bool) -> tuple[str, int]:
    """The text from `place` to the `end` or `else` of this block, and where that stands; odd places are actions."""
    written = ""
    while place < len(parts):
        part = parts[place]
        if place % 2 == 0:
            written += part if shown else ""
        elif part in ("end", "else"):
            return written, place
        elif part.startswith("if "):
            text, place = _branch(parts, place, scope, shown)
            written += text
        elif part.startswith("range "):
            assert part == "range $i, $_ := .Messages"
            text, place = _loop(parts, place, scope, shown)
            written += text
        elif part != _LAST:
            written += str(_value(part, scope)) if shown else ""
        place += 1
    return written, place


def _branch(parts: Sequence[str], place: int, scope: Mapping[str, object], shown: bool) -> tuple[str, int]:
    true = shown and bool(_value(parts[place].removeprefix("if "), scope))
    text, place = _run(parts, place + 1, scope, true)
    if parts[place] == "else":
        other, place = _run(parts, place + 1, scope, shown and not true)
        text += other
    assert parts[place] == "end"
    return text, place


def _loop(parts: Sequence[str], place: int, scope: Mapping[str, object], shown: bool) -> tuple[str, int]:
    messages, text, end = scope["Messages"], "", place
    assert isinstance(messages, list) and messages
    for number, message in enumerate(messages):
        inner = {"Role": message["role"], "Content": message["content"], "$last": number == len(messages) - 1}
        written, end = _run(parts, place + 1, inner, shown)
        text += written
    assert parts[end] == "end"
    return text, end


def _value(expression: str, scope: Mapping[str, object]) -> object:
    if expression.startswith("not "):
        return not _value(expression.removeprefix("not "), scope)
    if expression.startswith("eq "):
        left, right = expression.removeprefix("eq ").split(" ")
        return _value(left, scope) == _value(right, scope)
    if expression.startswith('"'):
        return expression[1:-1]
    return scope[expression.removeprefix(".")]
