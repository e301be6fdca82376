"""Reads a file that is trained on or scored as it is, without the Data page.

Nobody sees what was read, so nothing is guessed and nothing is left out: a fault ends the reading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from core.data.reading import ReadOptions, open_records
from core.data.records import MOST_FAULTS, Fault, Reading, Record, refusal
from core.data.tables import text_columns
from core.errors import DataError


class Placed(NamedTuple):
    """A record, and where it stands: `place` is "line 3" of a text file or "row 3" of any other."""

    place: str
    record: Record


def read_records(path: Path, columns: Sequence[str]) -> Iterator[Placed]:
    """The records of a file one after the other, each with all of `columns`.

    Raises:
        DataError: the file is missing, of no known format, empty or broken, its encoding can only be guessed, or a
            record lacks one of the columns; the message names the line.
    """
    with open_records(path, path.name, ReadOptions()) as reading:
        _refuse_guess(reading, path)
        items = reading.checked()
        empty = True
        for item in items:
            if isinstance(item, Fault):
                more = (one for one in items if isinstance(one, Fault))
                faults = [item, *islice(more, MOST_FAULTS - 1)]
                raise DataError(f"{refusal(faults, reading.place, path.name)} Correct or remove them.")
            empty = False
            place = f"{reading.place.lower()} {item.line}"
            _refuse_unclear(item.cells, columns, f"{place.capitalize()} of {path.name}", reading)
            yield Placed(place, item)
        if empty:
            _refuse_empty(columns, reading, path)


def _refuse_empty(columns: Sequence[str], reading: Reading, path: Path) -> None:
    if reading.headings.names:
        _refuse_unclear(reading.headings.names, columns, path.name, reading)
    raise DataError(f"{path.name} holds no rows. Choose a file with at least one, with {text_columns(columns)}.")


def _refuse_guess(reading: Reading, path: Path) -> None:
    if reading.encoding is not None and reading.encoding.guessed:
        raise DataError(
            f"{path.name} is not UTF-8 text, so which letters it holds can only be guessed. Open it on the Data page, "
            "where you see what is read, or save it as UTF-8."
        )


def _refuse_unclear(found: Collection[str], columns: Sequence[str], where: str, reading: Reading) -> None:
    """Refuse columns that are missing, or that the heading names twice."""
    for column in columns:
        if column in reading.headings.repeated:
            raise DataError(f"{where} has more than one column {column!r}. Rename or remove one.")
        if column not in found:
            raise DataError(
                f"{where} has no column {column!r}; it has {text_columns(list(found))}. The columns "
                f"{text_columns(columns)} are needed: add the missing one, or rename the one that holds it."
            )
