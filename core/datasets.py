"""Reads question-answer rows and checks them once, so that nothing behind has to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.config import PREPARED, SAMPLE, DataConfig
from core.data.draft import SPLITS, Split
from core.data.plain_files import read_records
from core.data.prepared import ANSWER, COLUMNS, MANIFEST, QUESTION, SPLIT, PreparedData, find, verify
from core.data.reading import check_file
from core.data.records import named
from core.data.split_names import parse_split
from core.data.tables import ROW
from core.errors import DataError
from core.paths import SAMPLE_DATA, Home

TRAIN: Split = "train"
VALIDATION: Split = "validation"
TEST: Split = "test"


@dataclass(frozen=True)
class Row:
    """One question with its reference answer.

    Attributes:
        number: the line or row of the file it came from, or its row in the source of a prepared data set, from 1.
        split: only rows of `train` are trained on; rows of a file without a `split` column are all `train`.
        carried: the texts of the further columns by name, "" where a cell is empty: those that a prepared data set
            carries, or all of a plain file.
    """

    number: int
    question: str
    answer: str
    split: Split
    carried: Mapping[str, str] = field(default_factory=dict, hash=False)


def resolve(data: DataConfig) -> Path:
    """The file a data configuration names, when it names one."""
    return SAMPLE_DATA if data.path == SAMPLE else Path(data.path).expanduser()


def read_rows(data: DataConfig, home: Home) -> list[Row]:
    """Read and check all rows.

    Raises:
        DataError: the file is missing, empty or broken, a column is missing, a row lacks its question or answer, or
            the data is not what its fingerprint says; the message names the line and what to do.
    """
    refuse_single_split(data)
    if data.prepared is not None:
        return _prepared_rows(find(home, data.prepared), data)
    path = resolve(data)
    rows = _file_rows(path, data)
    if data.fingerprint:
        _refuse_changed(data.fingerprint, fingerprint(data, home), path.name)
    return rows


def fingerprint(data: DataConfig, home: Home) -> str:
    """What names the content of the data; empty for the sample, which comes with the studio.

    Raises:
        DataError: the data cannot be read.
    """
    if data.prepared is not None:
        return find(home, data.prepared).manifest.fingerprint
    return "" if data.path == SAMPLE else check_file(resolve(data), lambda done, total: None).sha256


def training_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that may be trained on: those of the training split.

    Raises:
        DataError: all of them are held out.
    """
    chosen = [row for row in rows if row.split == TRAIN]
    if rows and not chosen:
        raise DataError(
            f"All {len(rows)} rows are held out for validation or the test, which are never trained on. Add rows to "
            "train on, or split the data again on the Data page."
        )
    return chosen


def held_out_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows whose questions are answered before and after training: of the test split, else of validation."""
    return [row for row in rows if row.split == TEST] or [row for row in rows if row.split == VALIDATION]


def refuse_held_out(rows: Sequence[Row]) -> None:
    """Refuse to train on rows that are held out.

    Raises:
        DataError: one of the rows belongs to another split than `train`.
    """
    for row in rows:
        if row.split != TRAIN:
            raise DataError(
                f"Row {row.number} belongs to the {row.split} split, which is never trained on. Train on the rows of "
                "the training split."
            )


def refuse_single_split(data: DataConfig) -> None:
    """Refuse a single split where a whole data set belongs, such as `prepared:sepsis:test` or its test.parquet.

    Raises:
        DataError: says how to name the data set.
    """
    name, _, split = (data.prepared or "").partition(":")
    path = Path(data.path)
    if data.prepared is None and path.suffix == ".parquet" and (path.parent / MANIFEST).is_file():
        name, split = path.parent.name, path.stem
    if split:
        never = f"The {split} split is never trained on" if split != TRAIN else "A run takes a data set as a whole"
        raise DataError(f"{never}: name the data set alone, {PREPARED}{name}, and the run takes its training split.")


def _prepared_rows(prepared: PreparedData, data: DataConfig) -> list[Row]:
    if data.fingerprint:
        _refuse_changed(data.fingerprint, prepared.manifest.fingerprint, prepared.name)
    verify(prepared)
    return [row for split in SPLITS for row in _rows_of(prepared, split)]


def _rows_of(prepared: PreparedData, split: Split) -> Iterator[Row]:
    table = prepared.rows(split)
    own = zip(*(table.column(name).to_pylist() for name in (ROW, QUESTION, ANSWER)), strict=True)
    for (number, question, answer), carried in zip(own, table.drop_columns(COLUMNS).to_pylist(), strict=True):
        yield Row(number, question, answer, split, {name: text or "" for name, text in carried.items()})


def _refuse_changed(expected: str, found: str, name: str) -> None:
    if found != expected:
        raise DataError(
            f"{name} has changed since it was chosen for this run (its fingerprint was {expected[:12]}… and is "
            f"{found[:12]}… now). Put the data back as it was, or start a new run with the data as it is."
        )


def _file_rows(path: Path, data: DataConfig) -> list[Row]:
    rows: list[Row] = []
    own = {data.question, data.answer, SPLIT}
    empty: dict[str, list[str]] = {data.question: [], data.answer: []}
    for place, record in read_records(path, (data.question, data.answer)):
        question, answer = ((record.cells[name] or "").strip() for name in (data.question, data.answer))
        for name, text in ((data.question, question), (data.answer, answer)):
            if not text:
                empty[name].append(place)
        carried = {name: text or "" for name, text in record.cells.items() if name not in own}
        rows.append(Row(record.line, question, answer, _split(record.cells.get(SPLIT), place, path), carried))
    for name, places in empty.items():
        if places:
            raise DataError(
                f"{len(places)} row(s) of {path.name} have an empty {name!r}: {named(places)}. Fill them in or remove "
                "them; a completion can only be judged against a reference answer."
            )
    return rows


def _split(cell: str | None, place: str, path: Path) -> Split:
    """The split that a row's cell names; an empty one means training."""
    split = parse_split(cell) if cell else TRAIN
    if split is None:
        raise DataError(
            f"{place.capitalize()} of {path.name} has {cell!r} in the column {SPLIT!r}, which names no split. Write "
            "train, validation or test there."
        )
    return split


def choose(rows: list[Row], count: int | None, seed: int) -> list[Row]:
    """`count` of the rows in an order that depends on nothing but the seed; all of them when `count` is None."""
    order = np.random.default_rng(seed).permutation(len(rows))
    return [rows[index] for index in order[: len(rows) if count is None else count]]
