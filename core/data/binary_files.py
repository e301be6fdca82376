"""Readers of Parquet files and Excel workbooks."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum

from core.data.records import Fault, Headings, Record, as_text
from core.data.tables import text_columns
from core.errors import DataError

_BATCH_ROWS = 200
"""Few enough that rows of several megabytes fit into memory."""
_LARGEST_WORKBOOK = 4 * 2**30
"""Bytes of an unpacked workbook; it is read whole."""


def open_parquet(path: Path, title: str) -> pq.ParquetFile:
    """Open a Parquet file.

    Raises:
        DataError: it is cut off or damaged.
    """
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(_damaged_parquet(title)) from error


def parquet_records(file: pq.ParquetFile, title: str, headings: Headings) -> Iterator[Record | Fault]:
    """The rows of a Parquet file, numbered from 1."""
    names = [headings.add(name) for name in file.schema_arrow.names]
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                cells = map(as_text, values)
                yield Record(number, number, dict(zip(names, cells, strict=True)))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"Row {number + 1} and those after it: {_damaged_parquet(title)}") from error


def _damaged_parquet(title: str) -> str:
    return f"{title} is a Parquet file that is cut off or damaged. Copy or download it again."


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook, and which others there are."""

    content: CalamineSheet
    remark: str | None

    @property
    def first_row(self) -> int:
        """Which row of the sheet, counted from 1, is the first with anything in it."""
        return self.content.start[0] + 1 if self.content.start else 1


def open_sheet(path: Path, title: str, wanted: str | None) -> Sheet:
    """One sheet of an Excel workbook; by default the first.

    Raises:
        DataError: the workbook is damaged, locked or too large, or has no such sheet.
    """
    try:
        _refuse_huge(path, title)
        workbook = CalamineWorkbook.from_path(str(path))
        names = [sheet.name for sheet in workbook.sheets_metadata if sheet.typ is SheetTypeEnum.WorkSheet]
        if not names or (wanted is not None and wanted not in names):
            raise DataError(f"{title} has no sheet {wanted or 'with cells'!r}; it has {text_columns(names) or 'none'}.")
        name = wanted or names[0]
        others = [other for other in names if other != name]
        remark = f"Read from the sheet {name!r}; the workbook also has {text_columns(others)}." if others else None
        return Sheet(workbook.get_sheet_by_name(name), remark)
    except PasswordError as error:
        raise DataError(f"{title} is locked with a password. Save it without one.") from error
    except (CalamineError, zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{title} is an Excel workbook that is cut off or damaged. Open it in Excel and save it again."
        ) from error


def _refuse_huge(path: Path, title: str) -> None:
    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > _LARGEST_WORKBOOK:
            raise DataError(f"{title} is too large for an Excel workbook. Save it as CSV or Parquet.")


def sheet_records(sheet: Sheet, headings: Headings) -> Iterator[Record | Fault]:
    """The rows of a sheet below its heading, the first row with anything in it. Empty rows are no records."""
    number, names = 0, headings.names
    for line, values in enumerate(sheet.content.to_python(), start=sheet.first_row):
        if not any(value != "" for value in values):
            continue
        if not names:
            for value in values:
                headings.add(_cell(value) or "")
            continue
        number += 1
        yield Record(number, line, dict(zip(names, map(_cell, values), strict=True)))


def _cell(value: Any) -> str | None:
    """Excel keeps every number as a decimal fraction, and says nothing for an empty cell."""
    if value == "" and isinstance(value, str):
        return None
    return as_text(int(value) if isinstance(value, float) and value.is_integer() else value)
