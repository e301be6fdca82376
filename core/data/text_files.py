"""Readers of delimited text, JSON lines and JSON arrays."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from core.data.records import Fault, Headings, Record, WrittenFloat, as_text
from core.errors import DataError

LONGEST_CELL = 64 * 2**20
"""Characters; a longer cell or line is a quote that is never closed, or no table at all."""
DELIMITERS = (",", ";", "\t", "|")
_EXCEL_HINT = ["sep=", ""]
"""Excel may say the separator in a line above the heading, such as `sep=;`."""
_HEAD_BYTES = 2**18
_JSON = json.JSONDecoder(strict=False, parse_float=WrittenFloat, parse_constant=lambda _: None)


class Lines(Iterator[str]):
    """The lines of a text file with their line ends; bytes that are no text become lone surrogates.

    Raises:
        DataError: a line does not end, or the encoding cannot go on after a fault.
    """

    def __init__(self, file: BinaryIO, encoding: str, title: str) -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
        self._title = title
        self.number = 0

    def __next__(self) -> str:
        self.number += 1
        try:
            line = self._text.readline(LONGEST_CELL)
        except UnicodeDecodeError as error:
            raise DataError(
                f"Line {self.number} of {self._title} or one soon after it is not valid {error.encoding} text. "
                "Choose another encoding, or save the file as UTF-8."
            ) from error
        if not line:
            raise StopIteration
        if len(line) == LONGEST_CELL:
            raise DataError(
                f"Line {self.number} of {self._title} has more than {LONGEST_CELL:,} characters. Put every record on "
                "a line of its own."
            )
        return line


def find_delimiter(path: Path, encoding: str, title: str) -> str:
    """The character between the cells: the one that gives the beginning of the file the most regular columns."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    text = head.decode(encoding, "replace")
    preferred = "\t" if title.lower().endswith((".tsv", ".tab")) else ","
    best = max(DELIMITERS, key=lambda mark: (_regularity(text, mark), mark == preferred))
    return best if _regularity(text, best) > (0, 0) else preferred


def _regularity(text: str, delimiter: str) -> tuple[float, int]:
    """The share of the first records that are as wide as the heading, and that width; (0, 0) for one column."""
    widths = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        widths = [len(cells) for cells, _ in zip(reader, range(60), strict=False) if cells]
    except csv.Error:  # a cell longer than allowed
        return 0, 0
    widths = widths[:-1] if len(widths) > 2 else widths  # the last one may be cut
    if not widths or widths[0] < 2:
        return 0, 0
    return widths.count(widths[0]) / len(widths), widths[0]


def delimited_records(lines: Lines, delimiter: str, headings: Headings) -> Iterator[Record | Fault]:
    """The records of delimited text below its heading. Blank lines are no records.

    Raises:
        DataError: the heading cannot be read.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for name in next((cells for cells in reader if any(cells) and cells != _EXCEL_HINT), []):
            headings.add(name)
    except csv.Error as error:
        raise DataError(f"The heading in line {reader.line_num}: {_csv_reason(error)}. Correct that line.") from error
    width, number = len(headings.names), 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield Fault(number, line, _csv_reason(error))
            continue
        if not cells or (width > 1 and len(cells) == 1 and not cells[0].strip()):
            continue
        number += 1
        if len(cells) > width and not any(cells[width:]):
            del cells[width:]
        if len(cells) == width:
            yield Record(number, line, dict(zip(headings.names, cells, strict=True)))
        else:
            yield Fault(number, line, f"it has {len(cells)} cell(s), but the heading has {width}")


def _csv_reason(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "a double quote is opened here and never closed"
    if "field larger than field limit" in str(error):
        return f"a cell has more than {LONGEST_CELL:,} characters; probably a double quote is never closed"
    if "expected after" in str(error):
        return "there is text behind a closing double quote; write a double quote inside a cell twice"
    return f"it is not valid CSV ({error})"


def json_line_records(lines: Lines, headings: Headings) -> Iterator[Record | Fault]:
    """The records of a file with one JSON object a line. Blank lines are no records."""
    number = 0
    for line in lines:
        if line.strip():
            number += 1
            yield _json_record(line.rstrip(), number, lines.number, headings)


def _json_record(text: str, number: int, line: int, headings: Headings) -> Record | Fault:
    try:
        value: Any = _JSON.decode(text)
    except json.JSONDecodeError as error:
        return Fault(number, line, f"it is not valid JSON ({error.msg} at column {error.colno})")
    except RecursionError:
        return Fault(number, line, "its JSON is nested too deeply")
    except ValueError:  # Python reads no integers of thousands of digits
        return Fault(number, line, "it holds a number with too many digits")
    if not isinstance(value, dict):
        return Fault(number, line, f'it is not a JSON object such as {{"question": "…"}} but a {_json_kind(value)}')
    return Record(number, line, {headings.of(key): as_text(cell) for key, cell in value.items()})


def _json_kind(value: Any) -> str:
    return {list: "list", str: "text", bool: "truth value", type(None): "null"}.get(type(value), "number")


def json_array_records(path: Path, title: str, headings: Headings) -> Iterator[Record | Fault]:
    """The objects of a UTF-8 file that holds one JSON array, read piece by piece.

    Raises:
        DataError: the file is not valid JSON.
    """
    options = f"format = 'array', maximum_object_size = {LONGEST_CELL}"
    with path.open("rb") as file, duckdb.connect(config={"threads": 1}) as database:
        plain = f"/proc/self/fd/{file.fileno()}"  # DuckDB takes * ? [ in a name for a pattern
        try:
            found = database.execute(f"SELECT json FROM read_json_objects(?, {options})", [plain])
            number = 0
            while records := found.fetchmany(100):
                for (text,) in records:
                    number += 1
                    yield _json_record(text or "null", number, number, headings)
        except duckdb.Error as error:
            raise DataError(_json_fault(path, title, str(error))) from error


def _json_fault(path: Path, title: str, message: str) -> str:
    """Names line and column where the file is small enough to be read again, else the number of the object."""
    if path.stat().st_size <= LONGEST_CELL:
        try:
            json.loads(path.read_text(encoding="utf-8-sig"))
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            return f"{title} is not valid JSON ({error.msg} at {place}). Correct it, or save one object a line."
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            return f"Line {line} of {title} is not valid UTF-8 text. Save the file as UTF-8."
    found = re.search(r"in record/value (\d+): (.+)", message)
    place = f" (object {int(found[1]) - 1}: {found[2].strip(' .')})" if found else ""
    return f"{title} is not valid JSON{place}. Correct it, or save one object a line."


@contextmanager
def as_utf8(path: Path, encoding: str) -> Iterator[Path]:
    """The same text in UTF-8: the file itself or a temporary one."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig"):
        yield path
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as copy:
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            while piece := file.read(2**20):
                copy.write(piece)
        copy.flush()
        yield Path(copy.name)
