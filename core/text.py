"""Text in the form people read it, and the words of a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Kana and Han characters: written without spaces between words."""
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_BARS = "▁▂▃▄▅▆▇█"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would calculate."""


def duration(seconds: float | None) -> str:
    """A length of time in words.

    >>> duration(75), duration(3700), duration(None)
    ('1 min 15 s', '1 h 1 min', 'unknown')
    """
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def disk_size(count: int) -> str:
    """A number of bytes on a disk, as people say it.

    >>> disk_size(1_234_567), disk_size(5_000_000_000)
    ('1.2 MB', '5.0 GB')
    """
    unit, name = (1e9, "GB") if count >= 1e9 else (1e6, "MB")
    return f"{count / unit:.1f} {name}"


def sparkline(values: Sequence[float], width: int = 30) -> str:
    """A curve in one line of text, at most `width` characters wide; each stands for the mean of its share of values.

    >>> sparkline([0, 1, 2, 3])
    '▁▃▆█'
    """
    if not values:
        return ""
    count = min(width, len(values))
    edges = [round(index * len(values) / count) for index in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(_BARS[round((mean - low) / span * (len(_BARS) - 1))] for mean in means)


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; each character of Chinese or Japanese is a word.

    >>> words("Yes: give 5 mg.")
    ['yes', 'give', '5', 'mg']
    >>> words("给氧 now")
    ['给', '氧', 'now']
    """
    return _WORD.findall(text.lower())


def neutral_cell(cell: str) -> str:
    """A cell of a CSV file that no spreadsheet calculates: what looks like a formula begins with an apostrophe more.

    >>> neutral_cell("=1+1"), neutral_cell("5 mg = 1 tablet")
    ("'=1+1", '5 mg = 1 tablet')
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def one_line(text: str | None, width: int = 160) -> str:
    """A text of unknown origin in one line for a terminal: without control characters, and cut after `width`.

    >>> one_line("Fever\\x1b[31m and\\n cough"), one_line(None)
    ('Fever[31m and cough', '(empty)')
    """
    if text is None:
        return "(empty)"
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return line if len(line) <= width else line[: width - 1] + "…"
