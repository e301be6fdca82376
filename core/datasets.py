"""Reads question-answer rows and checks them once, so that nothing behind has to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.config import SAMPLE, DataConfig
from core.errors import DataError
from core.paths import SAMPLE_DATA

TEST = "test"
FORMATS = (".jsonl", ".csv")
_NAMED = 5
"""How many faulty rows a message names."""


@dataclass(frozen=True)
class Row:
    """One question with its reference answer.

    Attributes:
        number: the line of the file it came from, counted from 1.
        split: `train` or `test`; rows of a file without a `split` column are all `train`.
    """

    number: int
    question: str
    answer: str
    split: str


def resolve(data: DataConfig) -> Path:
    """The file a data configuration names."""
    return SAMPLE_DATA if data.path == SAMPLE else Path(data.path).expanduser()


def read_rows(data: DataConfig) -> list[Row]:
    """Read and check all rows.

    Raises:
        DataError: the file is missing, empty or broken, a column is missing, or a row lacks its question or answer;
            the message names the line and what to do.
    """
    path = resolve(data)
    rows = [
        Row(number, *_texts(record, data), split=str(record.get("split") or "train"))
        for number, record in read_records(path, (data.question, data.answer))
    ]
    _refuse_empty(rows, data, path)
    return rows


def read_records(path: Path, columns: tuple[str, ...]) -> list[tuple[int, Mapping[str, Any]]]:
    """The records of a JSONL or CSV file with their line numbers, each holding all of `columns`."""
    text = _text(path)
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


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"There is no data file {path}. Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder. Choose a {' or '.join(FORMATS)} file inside it.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"Line {line} of {path.name} is not UTF-8 text. Save the file as UTF-8.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Check who may read it.") from error


def _jsonl_records(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"Line {number} of {path.name} is not valid JSON ({error.msg} at column {error.colno}). "
                "Correct or remove that line."
            ) from error
        if not isinstance(record, dict):
            raise DataError(
                f"Line {number} of {path.name} is not a JSON object but a {type(record).__name__}. Write one object "
                'a line, such as {"question": "…", "answer": "…"}.'
            )
        yield number, record


def _csv_records(text: str, path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, Mapping[str, Any]]] = []
    try:
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


def _texts(record: Mapping[str, Any], data: DataConfig) -> tuple[str, str]:
    question, answer = record[data.question], record[data.answer]
    return (
        "" if question is None else str(question).strip(),
        "" if answer is None else str(answer).strip(),
    )


def _refuse_empty(rows: list[Row], data: DataConfig, path: Path) -> None:
    for column, empty in (
        (data.question, [row.number for row in rows if not row.question]),
        (data.answer, [row.number for row in rows if not row.answer]),
    ):
        if empty:
            named = ", ".join(map(str, empty[:_NAMED])) + (" …" if len(empty) > _NAMED else "")
            raise DataError(
                f"{len(empty)} row(s) of {path.name} have an empty {column!r}: line {named}. Fill them in or remove "
                "them; a completion can only be judged against a reference answer."
            )


def choose(rows: list[Row], count: int | None, seed: int) -> list[Row]:
    """`count` of the rows in an order that depends on nothing but the seed; all of them when `count` is None."""
    order = np.random.default_rng(seed).permutation(len(rows))
    return [rows[index] for index in order[: len(rows) if count is None else count]]
