"""Reads a file of any known format: its records one by one, or its first rows at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from core.data.binary_files import open_parquet, open_sheet, parquet_records, sheet_records
from core.data.encoding import Encoding, EncodingDetector, chosen_encoding
from core.data.formats import Format, binary_format, read_head, text_format
from core.data.records import Fault, Headings, Reading, Record
from core.data.text_files import (
    Lines,
    as_utf8,
    delimited_records,
    find_delimiter,
    json_array_records,
    json_line_records,
)

_PIECE = 2**20
_SHOWN_CHARACTERS = 16_000_000
"""The first rows end here even when fewer than asked for."""


class ReadOptions(BaseModel):
    """How a file is read where it does not say so itself.

    Attributes:
        delimiter: the character between cells; None finds it.
        encoding: Python's name of the text encoding; None finds it.
        sheet: of a workbook; None is the first.
        skip_bad: leave out records that cannot be read instead of refusing the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str | None = None
    sheet: str | None = None
    skip_bad: bool = False

    @field_validator("delimiter")
    @classmethod
    def _stands_between_cells(cls, delimiter: str | None) -> str | None:
        if delimiter in ('"', "\n", "\r"):
            reason = "A double quote or a line end cannot separate cells; use a character such as , or ;"
            raise PydanticCustomError("delimiter", reason)
        return delimiter


@dataclass(frozen=True)
class Checked:
    """A file that was read once from end to end to know its content's hash and its encoding."""

    sha256: str
    encoding: Encoding


def check_file(path: Path, report: Callable[[int, int], None]) -> Checked:
    """Hash a file and find its encoding; `report` is told how many bytes of how many are done.

    Raises:
        DataError: it cannot be read.
    """
    read_head(path)
    digest, detector, done = hashlib.sha256(), EncodingDetector(), 0
    with path.open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        while piece := file.read(_PIECE):
            digest.update(piece)
            detector.feed(piece)
            done += len(piece)
            report(done, total)
    return Checked(digest.hexdigest(), detector.result())


def head_encoding(path: Path) -> Encoding:
    """The encoding of a file as far as its first megabyte shows it."""
    detector = EncodingDetector()
    with path.open("rb") as file:
        head = file.read(_PIECE)
    detector.feed(head)
    return detector.result(ended=len(head) < _PIECE)


@contextmanager
def open_records(path: Path, title: str, options: ReadOptions, found: Encoding | None = None) -> Iterator[Reading]:
    """The records of a file.

    Args:
        path: the file.
        title: what messages call it; its ending helps to tell CSV from JSON.
        options: how to read it.
        found: its encoding; by default its first megabyte is looked at.

    Raises:
        DataError: it cannot be read, or is of no known format.
    """
    head = read_head(path)
    kind, headings = binary_format(path, head, title), Headings()
    if kind == "parquet":
        with open_parquet(path, title) as parquet:
            items = parquet_records(parquet, title, headings)
            yield Reading(items, headings, "Row", parquet.metadata.num_rows, _nowhere)
    elif kind == "xlsx":
        sheet = open_sheet(path, title, options.sheet)
        remarks = [sheet.remark] if sheet.remark else []
        yield Reading(sheet_records(sheet, headings), headings, "Row", sheet.content.height, _nowhere, remarks)
    else:
        encoding = chosen_encoding(options.encoding) if options.encoding else found or head_encoding(path)
        with _open_text(path, title, options, encoding, text_format(head, encoding, title)) as reading:
            yield reading


@contextmanager
def _open_text(path: Path, title: str, options: ReadOptions, encoding: Encoding, kind: Format) -> Iterator[Reading]:
    headings = Headings()
    remarks = [encoding.note] if encoding.note else []
    size = path.stat().st_size
    if kind == "json array":
        with as_utf8(path, encoding.name) as utf8:
            yield Reading(json_array_records(utf8, title, headings), headings, "Row", 0, _nowhere, remarks, encoding)
        return
    with path.open("rb") as file:
        lines = Lines(file, encoding.name, title)
        if kind == "json lines":
            items = json_line_records(lines, headings)
        else:
            delimiter = options.delimiter or find_delimiter(path, encoding.name, title)
            remarks += [] if delimiter == "," else [f"The cells are separated by {_WORDS.get(delimiter, delimiter)}."]
            items = delimited_records(lines, delimiter, headings)
        yield Reading(items, headings, "Line", size, _position(file), remarks, encoding)


_WORDS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def _nowhere() -> int:
    return 0


def _position(file: BinaryIO) -> Callable[[], int]:
    return lambda: 0 if file.closed else file.tell()


@dataclass(frozen=True)
class FirstRows:
    """The beginning of a file: its columns, records and faults so far, and notes."""

    columns: tuple[str, ...]
    records: tuple[Record, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def first_rows(path: Path, title: str, options: ReadOptions, limit: int) -> FirstRows:
    """The first `limit` records of a file; no more of it is read than that, unless it is a workbook.

    Raises:
        DataError: it cannot be read.
    """
    records: list[Record] = []
    faults: list[str] = []
    characters = 0
    with open_records(path, title, options) as reading:
        for item in islice(reading.checked(), limit):
            if isinstance(item, Fault):
                faults.append(f"{reading.place} {item.line}: {item.reason}.")
                continue
            records.append(item)
            characters += item.length()
            if characters > _SHOWN_CHARACTERS:
                break
        return FirstRows(tuple(reading.headings.names), tuple(records), tuple(faults), reading.notes())
