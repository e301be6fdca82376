"""Reads the records of a small JSONL or CSV file; whatever is wrong with it is said with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import DataError

FORMATS = (".jsonl", ".csv")


def read_records(path: Path, columns: tuple[str, ...]) -> list[tuple[int, Mapping[str, Any]]]:
    """The records of a JSONL or CSV file with their line numbers, each holding all of `columns`.

    Raises:
        DataError: the file is missing, empty or broken, or a record lacks one of the columns.
    """
    text = read_text(path)
    if path.suffix.lower() == ".csv":
        records = _csv_records(text, path)
    elif path.suffix.lower() == ".jsonl":
        records = list(_jsonl_records(text, path))
    else:
        raise DataError(f"{path.name} ends in {path.suffix or 'nothing'!r}: save the data as {' or '.join(FORMATS)}.")
    if not records:
        raise DataError(f"{path.name} holds no rows. Choose a file with at least one question and answer.")
    for number, record in records:
        for column in columns:
            if column not in record:
                raise DataError(
                    f"Line {number} of {path.name} has no column {column!r}; it has {', '.join(map(repr, record))}. "
                    "Choose which columns hold the question and the answer, or add the missing one."
                )
    return records


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with line feeds as its line ends.

    Raises:
        DataError: it is missing, a folder, not UTF-8, or may not be read.
    """
    try:
        return read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"Line {line} of {path.name} is not UTF-8 text. Save the file as UTF-8.") from error


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: it is missing, a folder, or may not be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"There is no data file {path}. Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder. Choose a {' or '.join(FORMATS)} file inside it.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Check who may read it.") from error


def _jsonl_records(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        record = _parsed(line, f"Line {number} of {path.name}")
        if not isinstance(record, dict):
            raise DataError(
                f"Line {number} of {path.name} is not a JSON object but a {type(record).__name__}. Write one object "
                'a line, such as {"question": "…", "answer": "…"}.'
            )
        yield number, record


def _parsed(line: str, place: str) -> Any:
    try:
        record = json.loads(line)
        if "\\u" in line:
            json.dumps(record, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        reason = f"is not valid JSON ({error.msg} at column {error.colno})"
        raise DataError(f"{place} {reason}. Correct or remove that line.") from error
    except RecursionError as error:
        raise DataError(f"{place} holds JSON that is nested too deeply. Correct or remove that line.") from error
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise DataError(f"{place} holds half a character, {half}. Correct or remove that line.") from error
    except ValueError as error:  # Python reads no integers of thousands of digits
        raise DataError(f"{place} holds a number with too many digits. Shorten it or put it in quotes.") from error
    return record


def _csv_records(text: str, path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, Mapping[str, Any]]] = []
    try:
        _refuse_equal(reader.fieldnames or (), path)
        for record in reader:
            if None in record or None in record.values():
                raise DataError(
                    f"Line {reader.line_num} of {path.name} has another number of cells than the heading. Put texts "
                    "that hold a comma in double quotes."
                )
            records.append((reader.line_num, record))
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num} of {path.name} is not valid CSV ({error}). Correct it.") from error
    return records


def _refuse_equal(headings: Sequence[str], path: Path) -> None:
    """Of two columns with one name only the last would be read. Columns without a name are never asked for."""
    twice = sorted({repr(name) for name in headings if name.strip() and headings.count(name) > 1})
    if twice:
        raise DataError(f"The heading of {path.name} names {', '.join(twice)} more than once. Rename or remove one.")
