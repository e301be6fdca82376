"""Writes the records of a source to Parquet, batch by batch, and says what was left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.data.records import MOST_FAULTS, Fault, Reading, Record, refusal
from core.data.tables import ROW, LeftOut
from core.errors import DataError

_BATCH_ROWS, _BATCH_CHARACTERS = 10_000, 16_000_000
_LISTED_FAULTS = 1_000
"""So many are listed in full; of more the number is told."""


@dataclass(frozen=True)
class Written:
    """What `write_parquet` has made of a source."""

    rows: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    left_out_count: int


def write_parquet(
    reading: Reading, target: Path, title: str, skip_bad: bool, report: Callable[[int, int], None]
) -> Written:
    """Write all records of a source to `target` as text columns behind the column `row`.

    Memory holds one batch at a time, about 16 million characters. Columns that first appear further down, as they do
    in JSON, are null above.

    Raises:
        DataError: records cannot be read and are not to be left out, or there are none at all.
    """
    faults: list[Fault] = []
    rows = 0
    with closing(_Parts(target)) as parts:
        for batch in _batches(reading, faults, None if skip_bad else MOST_FAULTS):
            rows += len(batch)
            parts.write(batch, reading.headings.names)
            report(reading.position() or rows, reading.size)
    if faults and not skip_bad:
        raise DataError(f"{refusal(faults, reading.place, title)} Correct them, or choose to leave such rows out.")
    if not rows:
        what = f"none of its {len(faults)} rows can be read" if faults else "it has a heading at most"
        raise DataError(f"{title} holds no rows: {what}. Choose a file with at least one question and answer.")
    parts.join(reading.headings.names)
    left_out = tuple(LeftOut(line=fault.line, reason=fault.reason) for fault in faults[:_LISTED_FAULTS])
    notes = (*reading.notes(), *_unlisted(faults))
    return Written(rows, tuple(reading.headings.names), notes, left_out, len(faults))


def _batches(reading: Reading, faults: list[Fault], most_faults: int | None) -> Iterator[list[Record]]:
    batch: list[Record] = []
    characters = 0
    for item in reading.checked():
        if isinstance(item, Fault):
            faults.append(item)
            if most_faults is not None and len(faults) == most_faults:
                return
            continue
        batch.append(item)
        characters += item.length()
        if len(batch) == _BATCH_ROWS or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _unlisted(faults: list[Fault]) -> list[str]:
    more = len(faults) - _LISTED_FAULTS
    return [f"{len(faults)} rows were left out; the last {more} of them are not listed."] if more > 0 else []


class _Parts:
    """Writes batches; a new part begins when columns appear that the earlier ones do not have."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._parts: list[Path] = []
        self._columns: tuple[str, ...] = ()
        self._writer: pq.ParquetWriter | None = None

    def write(self, batch: Sequence[Record], columns: Sequence[str]) -> None:
        if self._writer is None or self._columns != tuple(columns):
            self.close()
            self._columns = tuple(columns)
            self._parts.append(self._target.with_suffix(f".part{len(self._parts)}"))
            self._writer = pq.ParquetWriter(self._parts[-1], _schema(columns), compression="zstd")
        numbers = pa.array([record.number for record in batch], pa.int64())
        texts = [pa.array([record.cells.get(name) for record in batch], pa.string()) for name in columns]
        self._writer.write_table(pa.Table.from_arrays([numbers, *texts], schema=_schema(columns)))

    def close(self) -> None:
        """Finish the part that is being written; safe to call again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def join(self, columns: Sequence[str]) -> None:
        """Make the target out of the parts, with all columns, and see it onto the disk."""
        self.close()
        if len(self._parts) == 1:
            self._parts[0].replace(self._target)
        else:
            self._widen(columns)
        with self._target.open("rb") as file:
            os.fsync(file.fileno())

    def _widen(self, columns: Sequence[str]) -> None:
        schema = _schema(columns)
        with pq.ParquetWriter(self._target, schema, compression="zstd") as writer:
            for part in self._parts:
                with pq.ParquetFile(part) as narrow:
                    for group in range(narrow.num_row_groups):
                        table = narrow.read_row_group(group)
                        missing = [name for name in columns if name not in table.column_names]
                        for name in missing:
                            table = table.append_column(name, pa.nulls(len(table), pa.string()))
                        writer.write_table(table.select(schema.names))
                part.unlink()


def _schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([(ROW, pa.int64()), *((name, pa.string()) for name in columns)])
