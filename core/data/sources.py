"""Where rows can come from, and how they become a table."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.data.draft import ColumnMapping
from core.data.reading import ReadOptions, check_file, first_rows, open_records
from core.data.tables import About, tables_folder
from core.data.writing import write_parquet
from core.errors import ConfigError
from core.jobs.tasks import Tell
from core.paths import SAMPLE_DATA, Home, is_name, storage_error, write_json

_PARTIAL = ".import-"


class File(ReadOptions):
    """A file of this machine. The title is what its user calls it, never a path."""

    origin: Literal["file"] = "file"
    path: str = Field(min_length=1)
    title: str = ""

    @property
    def shown(self) -> str:
        return self.title.strip() or Path(self.path).name or self.path


class Sample(BaseModel):
    """The questions and answers that come with the studio."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    origin: Literal["sample"] = "sample"


class Hub(BaseModel):
    """A data set of the Hugging Face Hub. A token is taken from the environment only."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    origin: Literal["hub"] = "hub"
    id: str = Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$", max_length=200)
    config: str | None = None
    split: str = "train"

    @property
    def shown(self) -> str:
        return ", ".join(part for part in (self.id, self.config, self.split) if part)


Source = Annotated[File | Sample | Hub, Field(discriminator="origin")]
_SOURCE: TypeAdapter[File | Sample | Hub] = TypeAdapter(Source)


@dataclass(frozen=True)
class Preset:
    """A source with the mapping that suits it."""

    source: Hub
    mapping: ColumnMapping


MEDICAL_REASONING = Preset(
    source=Hub(id="FreedomIntelligence/medical-o1-reasoning-SFT", config="en", split="train"),
    mapping=ColumnMapping(question="Question", answer="Response"),
)
"""What the article trained on. Its column Complex_CoT is reasoning, no reference answer."""


def parse_source(arguments: Mapping[str, Any]) -> File | Sample | Hub:
    """The source that `arguments` describe.

    Raises:
        ConfigError: a field is missing, unknown or out of range; the message names it.
    """
    try:
        return _SOURCE.validate_python(dict(arguments))
    except ValidationError as error:
        faults = (
            f"{'.'.join(str(part) for part in fault['loc'][1:]) or 'origin'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigError(f"This source cannot be used. {'; '.join(faults)}.") from error


@dataclass(frozen=True)
class Peek:
    """The first rows of a source.

    Attributes:
        columns: their names, as the table will have them; JSON may have more further down.
        rows: text or None by column.
        notes: what a reader should know, such as the encoding that was found.
        problems: sentences about rows of this part that cannot be read, with their lines.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str | None], ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def peek(source: File | Sample, limit: int = 100) -> Peek:
    """The first `limit` rows of a source at once, without importing it.

    Raises:
        DataError: the file cannot be read at all.
    """
    file = _as_file(source)
    found = first_rows(Path(file.path).expanduser(), file.shown, file, limit)
    rows = tuple({name: record.cells.get(name) for name in found.columns} for record in found.records)
    problems = list(found.faults)
    if not rows and not problems:
        problems.append(f"{file.shown} holds no rows.")
    if len(found.columns) == 1:
        problems.append("There is only one column. If another character separates the cells, choose it.")
    return Peek(found.columns, rows, found.notes, tuple(problems))


def import_table(home: Home, arguments: Mapping[str, Any], progress: Tell) -> dict[str, str]:
    """Make a table of a source, or find the one made of it before; the task `import`.

    Args:
        home: where tables are kept.
        arguments: a `Source` as plain values.
        progress: told what is being done and how much of it is left.

    Returns:
        {"table": its id}

    Raises:
        DataError: the source cannot be read; nothing is left behind.
        ConfigError: `arguments` describe no source.
    """
    source = parse_source(arguments)
    with workshop(home.data, _PARTIAL) as work:
        if isinstance(source, Hub):
            from core.engine.hub import download

            file = download(source.id, source.config, source.split, work / "download.parquet", progress)
            return {"table": _import(home, File(path=str(file), title=source.shown), source.origin, work, progress)}
        return {"table": _import(home, _as_file(source), source.origin, work, progress)}


def _as_file(source: File | Sample) -> File:
    return source if isinstance(source, File) else File(path=str(SAMPLE_DATA), title="Sample questions")


def _import(home: Home, file: File, origin: str, work: Path, progress: Tell) -> str:
    path = Path(file.path).expanduser()
    checked = check_file(path, lambda done, total: progress("checking the file", done, total))
    table_id = _table_id(file, checked.sha256, path.suffix)
    target = tables_folder(home) / table_id
    if (target / "about.json").is_file():
        return table_id
    made = work / table_id
    made.mkdir()
    with open_records(path, file.shown, file, checked.encoding) as reading:
        written = write_parquet(
            reading,
            made / "rows.parquet",
            file.shown,
            file.skip_bad,
            lambda done, total: progress("reading rows", done, total),
        )
    about = About(
        title=file.shown,
        origin=origin,
        sha256=checked.sha256,
        rows=written.rows,
        columns=written.columns,
        notes=written.notes,
        left_out=written.left_out,
        left_out_count=written.left_out_count,
    )
    write_json(made / "about.json", about.model_dump(mode="json"))
    _put_in_place(made, target)
    return table_id


def _table_id(file: File, sha256: str, suffix: str) -> str:
    """The same for the same content read in the same way under the same title.

    The title is shortened to letters, digits and hyphens.
    """
    options = ReadOptions.model_validate(file.model_dump(include=set(ReadOptions.model_fields)))
    way = f"{sha256} {options.model_dump_json()} {Path(file.shown).suffix.lower() or suffix.lower()}"
    words = re.sub(r"[^a-z0-9]+", "-", file.shown.lower()).strip("-")[:40].strip("-") or "table"
    table_id = f"{words}-{hashlib.sha256(way.encode()).hexdigest()[:10]}"
    assert is_name(table_id)
    return table_id


def _put_in_place(made: Path, target: Path) -> None:
    try:
        made.rename(target)
    except OSError:
        if not (target / "about.json").is_file():  # otherwise another task has just made the same
            raise


@contextmanager
def workshop(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder in `parent` that goes when the work ends; what killed work with this prefix has left goes too.

    Raises:
        StorageError: the disk is full or `parent` cannot be written.
    """
    for left in parent.glob(f"{prefix}*"):
        if not psutil.pid_exists(int(left.name.removeprefix(prefix).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))
    except OSError as error:
        raise storage_error(error, parent / prefix) or error from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
