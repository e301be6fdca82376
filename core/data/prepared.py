"""Prepared data sets: what runs train on. Made by `core.data.saving`, never changed afterwards.

<home>/data/prepared/<name>/
  train.parquet  validation.parquet  test.parquet    columns row, question, answer, split, then the carried ones
  manifest.json                                      Manifest: where the rows come from and what was done to them
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from core.config import PREPARED, RunConfig, with_changes
from core.data.draft import Draft, Split
from core.data.tables import ROW
from core.errors import DataError
from core.paths import Home, is_name

MANIFEST = "manifest.json"
QUESTION, ANSWER, SPLIT = "question", "answer", "split"
COLUMNS = (ROW, QUESTION, ANSWER, SPLIT)
"""What every prepared row has; carried columns come behind."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Model):
    """Where the rows come from; see `core.data.tables.About`."""

    title: str
    origin: str
    sha256: str
    rows: int


class Part(_Model):
    """One Parquet file."""

    split: Split
    rows: int
    sha256: str


class Manifest(_Model):
    """What a prepared data set is and how it came about."""

    version: Literal[1] = 1
    created: str
    """When it was saved, in ISO 8601 with the time zone."""
    source: Source
    draft: Draft
    """Columns, prompt with its tags, model, limits, shares, and the mends in the order in which they were applied."""
    split_by: Literal["question", "column"]
    """Whether a hash of the question or a column of the source decided about the split."""
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    """SHA-256 of what the data is: the draft, the split and the parts; not of names and dates."""

    def sealed(self) -> Self:
        """The manifest with its fingerprint filled in."""
        deciding = self.model_dump(mode="json", include={"version", "draft", "split_by", "parts"})
        deciding["source"] = self.source.sha256
        del deciding["draft"]["table"]  # holds the source's title
        text = json.dumps(deciding, ensure_ascii=False, sort_keys=True)
        return self.model_copy(update={"fingerprint": hashlib.sha256(text.encode()).hexdigest()})

    def rows(self, split: Split) -> int:
        """How many rows the split has."""
        return sum(part.rows for part in self.parts if part.split == split)


@dataclass(frozen=True)
class PreparedData:
    """One prepared data set in the home."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def manifest(self) -> Manifest:
        """What it is.

        Raises:
            DataError: the manifest is missing or broken.
        """
        try:
            return Manifest.model_validate_json((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"{MANIFEST} of {self.name} is missing. Put it back, or save the data again.") from error
        except (UnicodeDecodeError, ValidationError) as error:
            raise DataError(_changed(MANIFEST, self.name)) from error

    def file(self, split: Split) -> Path:
        return self.folder / part_file(split)

    def rows(self, split: Split) -> pa.Table:
        """The rows of one split."""
        return pq.read_table(self.file(split))


def part_file(split: Split) -> str:
    """The name of a split's file."""
    return f"{split}.parquet"


def prepared_data_folder(home: Home) -> Path:
    """Where prepared data sets lie."""
    folder = home.data / "prepared"
    folder.mkdir(exist_ok=True)
    return folder


def list_prepared(home: Home) -> list[PreparedData]:
    """All prepared data sets, the newest first; reading the manifest of one may raise DataError."""
    files = [
        folder / MANIFEST
        for folder in prepared_data_folder(home).iterdir()
        if is_name(folder.name) and (folder / MANIFEST).is_file()
    ]
    return [PreparedData(file.parent) for file in sorted(files, key=lambda f: f.stat().st_mtime_ns, reverse=True)]


def find(home: Home, name: str) -> PreparedData:
    """The prepared data set with this name.

    Raises:
        DataError: there is none; the message names those there are.
    """
    folder = prepared_data_folder(home) / name
    if not is_name(name) or not (folder / MANIFEST).is_file():
        there = ", ".join(data.name for data in list_prepared(home)) or "none yet"
        raise DataError(f"There is no prepared data set {name!r}. There is: {there}. Save one on the Data page.")
    return PreparedData(folder)


def verify(prepared: PreparedData) -> None:
    """Check that nothing has changed since the data set was saved.

    Raises:
        DataError: names the file that is missing or has changed.
    """
    if prepared.manifest.sealed().fingerprint != prepared.manifest.fingerprint:
        raise DataError(_changed(MANIFEST, prepared.name))
    for part in prepared.manifest.parts:
        try:
            with prepared.file(part.split).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(
                f"{part_file(part.split)} of {prepared.name} cannot be read ({error.strerror}). Put it back, or save "
                "the data again under another name."
            ) from error
        if digest != part.sha256:
            raise DataError(_changed(part_file(part.split), prepared.name))


def _changed(file: str, name: str) -> str:
    return (
        f"{file} of {name} has changed since it was saved, so a run would train on something else than was checked. "
        "Put the saved file back, or save the data again under another name."
    )


def run_config(base: RunConfig, prepared: PreparedData) -> RunConfig:
    """`base` with the data, the prompt with its tags, and the length limits of a prepared data set.

    Raises:
        DataError: the manifest is missing or broken.
        ConfigError: the combination is not allowed.
    """
    draft = prepared.manifest.draft
    return with_changes(
        base,
        {
            "data": {"path": f"{PREPARED}{prepared.name}", "fingerprint": prepared.manifest.fingerprint},
            "prompt": draft.prompt.model_dump(),
            "train.max_prompt_length": draft.max_prompt_length,
            "train.max_completion_length": draft.max_completion_length,
        },
    )
