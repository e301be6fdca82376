"""Tables: what was read from a source, kept as Parquet so that any page of it is there at once.

<home>/data/tables/<table id>/
  rows.parquet     column `row` (int64: the number the row has in its source, counted from 1), all others text or null
  about.json       About: where it came from, what was found on the way
  draft.json       what has been decided about it so far, see `core.data.draft`
  draft.lock       held while that is changed

A table is made once and never changed.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from core.access.permissions import allow
from core.data.draft import Draft
from core.errors import DataError
from core.locks import locked
from core.paths import Home, is_name, write_json

ROW = "row"
_LOCK_SECONDS = 10.0
_BUSY = (
    "Somebody else is just changing what is decided about this table, so nothing was changed. Try again in a moment."
)


class LeftOut(BaseModel):
    """A part of the source that could not be read as a row."""

    model_config = ConfigDict(frozen=True)
    line: int
    reason: str


class About(BaseModel):
    """Where a table came from.

    Attributes:
        title: shown to the user: a file name, a data set id.
        origin: what kind of source it was: sample, file or hub.
        sha256: of the source file; for a hub data set, of its Parquet.
        rows: how many rows there are.
        columns: their names, without `row`.
        notes: what a reader should know, such as "read as windows-1252".
        left_out: what could not be read; never silently. Of very many only the first are listed.
        left_out_count: how many there are, listed or not.
    """

    model_config = ConfigDict(frozen=True)
    title: str
    origin: str
    sha256: str
    rows: int
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    left_out_count: int = Field(default=0, validate_default=True)

    @field_validator("left_out_count")
    @classmethod
    def _at_least_the_listed(cls, count: int, info: ValidationInfo) -> int:
        """Tables made before there was a count have only the list."""
        return max(count, len(info.data.get("left_out", ())))


@dataclass(frozen=True)
class Table:
    """One table in the home."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def file(self) -> Path:
        return self.folder / "rows.parquet"

    @property
    def _source(self) -> str:
        """The file's name for DuckDB, which takes * ? [ in a name for a pattern."""
        return glob.escape(str(self.file))

    def about(self) -> About:
        return About.model_validate_json((self.folder / "about.json").read_text(encoding="utf-8"))

    def page(self, offset: int, limit: int, search: str = "") -> list[dict[str, Any]]:
        """Rows `offset` to `offset + limit` of those in which some column holds `search`, in any case."""
        where, values = self._where(search)
        query = f"SELECT * FROM read_parquet(?) {where} ORDER BY {ROW} LIMIT ? OFFSET ?"
        with duckdb.connect() as database:
            found = database.execute(query, [self._source, *values, limit, offset])
            names = [column[0] for column in found.description]
            return [dict(zip(names, record, strict=True)) for record in found.fetchall()]

    def rows(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """The rows with these numbers, in the order of the table."""
        query = f"SELECT * FROM read_parquet(?) WHERE list_contains(?, {ROW}) ORDER BY {ROW}"
        with duckdb.connect() as database:
            found = database.execute(query, [self._source, list(numbers)])
            names = [column[0] for column in found.description]
            return [dict(zip(names, record, strict=True)) for record in found.fetchall()]

    def cells(self, column: str) -> list[tuple[int, str | None]]:
        """The number of each row and what stands in one of its columns."""
        name = column.replace('"', '""')
        with duckdb.connect() as database:
            query = f'SELECT {ROW}, "{name}" FROM read_parquet(?) ORDER BY {ROW}'
            return database.execute(query, [self._source]).fetchall()

    def count(self, search: str = "") -> int:
        """How many rows hold `search`; all of them when it is empty."""
        where, values = self._where(search)
        with duckdb.connect() as database:
            row = database.execute(f"SELECT count(*) FROM read_parquet(?) {where}", [self._source, *values]).fetchone()
        return int(row[0]) if row else 0

    def _where(self, search: str) -> tuple[str, list[str]]:
        if not search:
            return "", []
        columns = self.about().columns
        quoted = (f'"{name.replace(chr(34), chr(34) * 2)}"' for name in columns)
        return "WHERE " + " OR ".join(f"contains(lower({name}), lower(?))" for name in quoted), [search] * len(columns)

    def draft(self) -> Draft | None:
        """What has been decided about the table so far; None when nothing has."""
        file = self.folder / "draft.json"
        return Draft.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None

    def revise(self, change: Callable[[Draft | None], Draft]) -> Draft:
        """Change what has been decided: as it stands on the disk now, with nobody else changing it meanwhile.

        Args:
            change: from what is decided now, None where nothing is, to what is to hold. What it raises goes on, and
                nothing is written then; nor when it changes nothing.

        Returns:
            What holds now.

        Raises:
            AccessDenied: whoever acts now may not.
            StorageError: somebody else is busy with it for too long, or it cannot be written.
        """
        allow("data.prepare")
        with locked(self.folder / "draft.lock", _LOCK_SECONDS, _BUSY):
            before = self.draft()
            wanted = change(before)
            if wanted != before:
                write_json(self.folder / "draft.json", json.loads(wanted.model_dump_json()))
        return wanted


def tables_folder(home: Home) -> Path:
    folder = home.data / "tables"
    folder.mkdir(exist_ok=True)
    return folder


def list_tables(home: Home) -> list[Table]:
    """All tables, the newest first."""
    found = [folder for folder in tables_folder(home).iterdir() if (folder / "about.json").is_file()]
    return [Table(folder) for folder in sorted(found, key=lambda f: f.stat().st_mtime_ns, reverse=True)]


def find_table(home: Home, table_id: str) -> Table:
    """The table with this id.

    Raises:
        DataError: there is none.
    """
    folder = tables_folder(home) / table_id
    if not is_name(table_id) or not (folder / "about.json").is_file():
        raise DataError(f"There is no table {table_id!r}. Open its source again on the Data page.")
    return Table(folder)


def text_columns(names: Sequence[str]) -> str:
    """`names` for a message."""
    return ", ".join(repr(name) for name in names)
