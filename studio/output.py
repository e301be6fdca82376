"""Shows text that somebody else wrote: models, files, users.

Streamlit renders Markdown in most of its commands, and Markdown loads pictures from anywhere and covers what stands
around it. Text from outside goes through here and nowhere else: `st.text`, `st.code` without a language, text columns
of a table, or with every mark of Markdown escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core.compare.difference import MOST_WORDS, Change, Difference
from core.config import Tags
from core.errors import StudioError
from core.reward.parsing import parse

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+!|~$:&@-])")
_JOINER = "\u2060"
_REWRITTEN = re.compile(
    r"(?<=w)(?=ww\.)"  # www.example.org
    r"|(?<=:)(?=//|[\w+/-]+:)"  # http://example.org, :material/check:
    r"|(?=@)"  # somebody@example.org
    r"|(?:(?<=^[<>~-])|(?<=\s[<>~-]))(?=(?:->|[-=>])(?:\s|$))",  # an operator between spaces, such as >=
    re.IGNORECASE,
)
"""Where Streamlit makes a link, an icon or another sign out of plain text once its marks are gone; see `escape`."""
_TAIL_BYTES = 65_536
WIDE_TEXT = st.column_config.TextColumn(width="large")
"""A column of a table that holds text from outside."""


def escape(text: str) -> str:
    """`text` as Markdown that reads exactly as it stands.

    Addresses, icons and operators are found in the text that is left when Markdown has been read, where no backslash
    helps: an invisible word joiner (U+2060) keeps their characters apart.

    >>> escape("![x](http://evil)")
    '\\\\!\\\\[x\\\\]\\\\(http\\\\:\\u2060//evil\\\\)'
    """
    return _MARKS.sub(r"\\\1", _REWRITTEN.sub(_JOINER, " ".join(text.split())))


def problem(error: StudioError | str) -> None:
    """Say what the user can mend."""
    st.error(escape(str(error)), icon=":material/error:")


def uncaught(error: Exception) -> bool:
    """Say what the user can mend of an error that nobody caught; returns whether there is such a thing."""
    if isinstance(error, StudioError):
        problem(error)
    return isinstance(error, StudioError)


def warning(message: str) -> None:
    """Say what the user should know."""
    st.warning(escape(message), icon=":material/warning:")


def labelled(label: str, text: str | None) -> None:
    """A small fixed heading with text from outside under it; a dash when there is none."""
    with st.container(gap=None):
        st.caption(label)
        st.text(text or "–", width="stretch")


def completion(text: str, tags: Tags) -> None:
    """A completion taken apart into reasoning and answer, or as it stands when it cannot be."""
    parsed = parse(text, tags)
    if parsed.well_formed:
        labelled("Reasoning", parsed.reasoning)
        labelled("Answer", parsed.answer)
    else:
        labelled("Completion as written", text.strip())


_MARKED: Mapping[Change, str] = {
    "same": "{}",
    "removed": ":red-background[~~{}~~]",
    "added": ":green-background[**{}**]",
}
"""How words are set off: struck out or bold as well as coloured, for those who do not tell red from green."""


def difference(found: Difference) -> None:
    """How a second text differs from a first: what it lacks is struck out on red, what it adds is bold on green."""
    shown = [
        _MARKED[part.change].format(escape(part.text)) + (" " if part.text[-1:].isspace() else "")
        for part in found.parts
    ]
    st.markdown("".join(shown) or "–")
    if found.cut:
        st.caption(f"Only the first {MOST_WORDS:,} words of each are compared.")


def lines(text: str, height: int = 320) -> None:
    """Text of many lines in a box of its own, scrolled by the reader."""
    st.code(text or "Nothing yet.", language=None, height=height, wrap_lines=True)


def texts(rows: Sequence[Mapping[str, str]], key: str) -> None:
    """A table whose columns all hold text from outside."""
    frame = pd.DataFrame(rows)
    config = dict.fromkeys(frame.columns, WIDE_TEXT)
    st.dataframe(frame, hide_index=True, column_config=config, key=key)


def tail(path: Path, count: int) -> str:
    """The last `count` lines of a text file that may be long and growing; of a line that a progress bar wrote over
    again and again, what it showed last."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(_last_states(text.split("\n"))[-count:]).strip("\n")


def _last_states(written: Sequence[str]) -> list[str]:
    return [line.rstrip("\r").rpartition("\r")[2] for line in written]
