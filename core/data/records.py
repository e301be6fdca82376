"""What every reader gives: records of text and faults, one after the other, and columns with names that can be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, NamedTuple

from core.data.encoding import Encoding
from core.data.tables import ROW
from core.errors import DataError

MOST_COLUMNS = 2_000
MOST_FAULTS = 20
"""After so many records that cannot be read, reading ends, unless they are left out."""
_NAMED = 5
"""How many places a note names."""


class Record(NamedTuple):
    """One row of a source.

    Attributes:
        number: which record of the source it is, counted from 1; one that cannot be read has a number too.
        line: where it begins: the line of a text file or the row of a sheet, else its number.
        cells: text or None by column name; a column that is missing here is null.
    """

    number: int
    line: int
    cells: Mapping[str, str | None]

    def length(self) -> int:
        """How many characters the cells hold together."""
        return sum(len(cell) for cell in self.cells.values() if cell)


class Fault(NamedTuple):
    """A record that cannot be read; `reason` goes on the sentence "Line 12: "."""

    number: int
    line: int
    reason: str


class Headings:
    """The columns met so far, under names that are not blank and differ by more than their case.

    DuckDB does not tell upper from lower case in column names, and `row` is taken by the number of the row.

    >>> headings = Headings()
    >>> [headings.add(name) for name in ("Answer", "", "answer", "row")]
    ['Answer', 'column_2', 'answer_2', 'row_2']
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.notes: list[str] = []
        self.repeated: set[str] = set()
        self._taken = {ROW}
        self._known: dict[str, str] = {}

    def of(self, key: str) -> str:
        """The name of the column that is called `key` in the source."""
        return self._known.get(key) or self.add(key)

    def add(self, heading: str) -> str:
        """Take up one more column and return its name.

        Raises:
            DataError: there are too many columns for a table of questions and answers.
        """
        if len(self.names) == MOST_COLUMNS:
            raise DataError(
                f"There are more than {MOST_COLUMNS} columns. Give every record the same few columns, one of them for "
                "the question and one for the answer."
            )
        plain = heading.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()
        name = self._free(plain or f"column_{len(self.names) + 1}")
        if not plain:
            self.notes.append(f"Column {len(self.names) + 1} has no heading; it is called {name!r} here.")
        elif name != plain:
            self.notes.append(f"Column {len(self.names) + 1}, {plain!r}, is called {name!r} here: the name was taken.")
            self.repeated.add(plain)
        self.names.append(name)
        self._taken.add(name.casefold())
        self._known.setdefault(heading, name)
        return name

    def _free(self, name: str) -> str:
        candidate, count = name, 1
        while candidate.casefold() in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        return candidate


@dataclass
class Reading:
    """A source being read: `items` runs once, the notes are complete when it has.

    Attributes:
        items: the records and faults in the order of the source.
        headings: the columns met so far.
        place: what `line` counts, for messages: "Line" or "Row".
        size: how much there is to read, in the unit of `position`: bytes or rows.
        position: how much of it has been read.
        remarks: what is known about the source from the beginning.
        encoding: of a text file.
    """

    items: Iterator[Record | Fault]
    headings: Headings
    place: str
    size: int
    position: Callable[[], int]
    remarks: list[str] = field(default_factory=list)
    encoding: Encoding | None = None
    _cleaned: list[int] = field(default_factory=list)

    def checked(self) -> Iterator[Record | Fault]:
        """The items without NUL characters; a record with damaged characters becomes a fault."""
        for item in self.items:
            if isinstance(item, Fault) or _is_clean(item.cells.values()):
                yield item
                continue
            damage = _damage(item.cells)
            if damage is not None:
                yield Fault(item.number, item.line, damage)
                continue
            self._cleaned.append(item.line)
            yield item._replace(cells={k: v and v.replace("\0", "") for k, v in item.cells.items()})

    def notes(self) -> tuple[str, ...]:
        """What a reader of the table should know."""
        cleaned = []
        if self._cleaned:
            cleaned = [f"NUL characters were removed from {self.place.lower()} {named(self._cleaned)}."]
        return (*self.remarks, *self.headings.notes, *cleaned)


def _is_clean(cells: Iterable[str | None]) -> bool:
    text = "".join(cell for cell in cells if cell)
    return "\0" not in text and (text.isascii() or _is_whole(text))


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _damage(cells: Mapping[str, str | None]) -> str | None:
    for column, cell in cells.items():
        try:
            (cell or "").encode()
        except UnicodeEncodeError as error:
            return f"character {error.start + 1} of the cell {column!r} is damaged (not valid in the file's encoding)"
    return None


def refusal(faults: Sequence[Fault], place: str, title: str) -> str:
    """Which records of a source cannot be read, and why; `place` is what their line counts."""
    count = f"At least {len(faults)}" if len(faults) == MOST_FAULTS else str(len(faults))
    reasons = "; ".join(f"{place.lower()} {fault.line}: {fault.reason}" for fault in faults[:_NAMED])
    more = "; and so on" if len(faults) > _NAMED else ""
    ragged = " Put texts that hold the separator in double quotes." if "the heading has" in reasons else ""
    return f"{count} row(s) of {title} cannot be read. {reasons[0].upper()}{reasons[1:]}{more}.{ragged}"


class FromValue(str):
    """The text of a value that was no text."""


def as_text(value: Any) -> str | None:
    """A cell as text: null stays null, nested values become their JSON text, numbers stay as they were written.

    >>> as_text({"dose": [5, None]}), as_text(True), as_text(None)
    ('{"dose": [5, null]}', 'true', None)
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, WrittenFloat):
        return FromValue(value.text)
    if isinstance(value, bool):
        return FromValue("true" if value else "false")
    if isinstance(value, list | tuple | dict):
        return FromValue(json.dumps(value, ensure_ascii=False, default=as_text))
    if isinstance(value, bytes):
        return FromValue(f"<{len(value)} bytes>")
    return FromValue(value.isoformat() if isinstance(value, datetime | date | time) else value)


class WrittenFloat(float):
    """A number with a decimal point or an exponent that remembers how it was written."""

    def __new__(cls, text: str) -> WrittenFloat:
        self = super().__new__(cls, text)
        self.text = text
        return self

    text: str


def named(places: Sequence[object]) -> str:
    """The first of `places` for a message.

    >>> named([3, 7]), named([1, 2, 3, 4, 5, 6])
    ('3, 7', '1, 2, 3, 4, 5 and 1 more')
    """
    more = len(places) - _NAMED
    return ", ".join(map(str, places[:_NAMED])) + (f" and {more} more" if more > 0 else "")
