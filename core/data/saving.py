"""Saves what a draft makes of a table as a prepared data set: whole or not at all, and never over another one."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.access import audit
from core.access.permissions import allow
from core.config import SAMPLE
from core.data.draft import SPLITS, Draft, Split
from core.data.mending import draft_of, prepared_rows, splits_by_question
from core.data.prepared import (
    ANSWER,
    MANIFEST,
    QUESTION,
    SPLIT,
    Manifest,
    Part,
    PreparedData,
    Source,
    part_file,
    prepared_data_folder,
)
from core.data.sources import workshop
from core.data.tables import ROW, Table, find_table
from core.errors import ConfigError, DataError
from core.jobs.tasks import Tell, silent
from core.paths import Home, new_folder, valid_name, write_bytes, write_json
from core.prompts import check_prompt

_NAMED = 5
"""How many faulty rows a message names."""
_LONGEST_NAME = 64
_PARTIAL = ".saving-"


def save(home: Home, table: Table, draft: Draft, name: str, progress: Tell = silent) -> PreparedData:
    """Apply the draft and save the rows; a name that is taken becomes `name-2` and so on.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: the name or the prompt cannot be used.
        DataError: there are no rows to train on, or rows lack their question or answer.
        StorageError: the disk is full or the home cannot be written.
    """
    allow("data.prepare")
    _refuse_name(name)
    check_prompt(draft.prompt)
    rows = prepared_rows(table, draft, progress)
    _refuse_useless(rows, draft)
    progress("saving", 0, 0)
    place = prepared_data_folder(home)
    with workshop(place, _PARTIAL) as work:
        made = new_folder(work, name)  # the workshop itself can be read by nobody else
        manifest = _manifest(table, draft, rows, _write_parts(made, rows))
        write_json(made / MANIFEST, json.loads(manifest.model_dump_json()))
        saved = PreparedData(_publish(made, place, name))
    audit.record(home, "data.prepare", saved.name, rows=rows.num_rows)
    return saved


def prepare(home: Home, arguments: Mapping[str, Any], progress: Tell) -> dict[str, Any]:
    """The task "prepare": `{"table": id, "name": name}` to `{"name": the name it was given}`.

    Raises:
        StudioError: as `save`, or there is no such table, or nothing has been decided about it.
    """
    table = find_table(home, arguments["table"])
    return {"name": save(home, table, draft_of(table), arguments["name"], progress).name}


def _refuse_name(name: str) -> None:
    if valid_name(name, "the name of the data set") == SAMPLE:
        raise ConfigError(
            f"the name of the data set is {SAMPLE!r}: a run that is told to train on {SAMPLE!r} takes the questions "
            "that come with the studio. Choose another name."
        )


def _refuse_useless(rows: pa.Table, draft: Draft) -> None:
    if rows.num_rows < 2:
        raise DataError(
            f"{rows.num_rows} row(s) are left, and a run needs at least 2. Open a larger source, or take a mend back."
        )
    for column, source in ((QUESTION, draft.mapping.question), (ANSWER, draft.mapping.answer)):
        texts = rows.column(column)
        empty = pc.or_kleene(pc.is_null(texts), pc.equal(pc.fill_null(texts, ""), ""))
        numbers = rows.column(ROW).filter(empty).to_pylist()
        if numbers:
            named = ", ".join(map(str, numbers[:_NAMED])) + (" …" if len(numbers) > _NAMED else "")
            raise DataError(
                f"{len(numbers)} row(s) have no text in the column {source!r}: row {named}. Leave them out with the "
                "quality report's mend, or fill them in the source."
            )
    if not pc.any(pc.equal(rows.column(SPLIT), "train")).as_py():
        raise DataError(
            f"None of the {rows.num_rows} rows is left for training: all are held out for validation or the test. "
            "Choose smaller shares, or split by the question in place of a column."
        )


def _write_parts(folder: Path, rows: pa.Table) -> tuple[Part, ...]:
    parts = []
    for split in SPLITS:
        chosen = rows.filter(pc.equal(rows.column(SPLIT), split))
        buffer = io.BytesIO()
        pq.write_table(chosen, buffer, compression="zstd")
        write_bytes(folder / part_file(split), buffer.getvalue())
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
        parts.append(Part(split=split, rows=chosen.num_rows, sha256=digest))
    return tuple(parts)


def _manifest(table: Table, draft: Draft, rows: pa.Table, parts: tuple[Part, ...]) -> Manifest:
    about = table.about()
    return Manifest(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=Source(title=about.title, origin=about.origin, sha256=about.sha256, rows=about.rows),
        draft=draft,
        split_by="question" if splits_by_question(draft) else "column",
        parts=parts,
        notes=tuple(_notes({part.split: part.rows for part in parts}, about.rows - rows.num_rows)),
    ).sealed()


def _notes(counts: Mapping[Split, int], left_out: int) -> list[str]:
    notes = [f"{left_out} row(s) of the source are left out by mends."] if left_out else []
    if not counts["test"] and not counts["validation"]:
        notes.append("No row is held out, so a run cannot show how the model answers questions it was not trained on.")
    elif not counts["test"]:
        notes.append("No row is in the test split; held-out questions come from the validation split.")
    elif not counts["validation"]:
        notes.append("No row is in the validation split.")
    return notes


def _publish(made: Path, place: Path, name: str) -> Path:
    """Put the finished folder in its place under its name, the first of `name`, `name-2` … that is free."""
    for attempt in count(1):
        suffix = "" if attempt == 1 else f"-{attempt}"
        folder = place / (name[: _LONGEST_NAME - len(suffix)] + suffix)
        if folder.exists():
            continue
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise another process has taken the name in between
                raise
            continue
        break
    return folder
