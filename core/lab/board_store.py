"""How a board lies in its folder: `board.parquet`, one row for each completion, and `board.json`, an `About`.

In the Parquet file, measures are the columns whose name begins with `measure:`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from core.config import DEFAULT_TAGS, Tags
from core.errors import DataError
from core.lab.board import Board
from core.paths import write_bytes, write_json
from core.reward.scoring import Sample

ROWS, ABOUT = "board.parquet", "board.json"
_MEASURE = "measure:"


class About(BaseModel):
    """What is known of a kept board without its completions.

    Attributes:
        title: what the user calls it; text from outside.
        created: when it was saved, in UTC.
        completions, groups: how many there are.
        notes, tags: as in `Board`.
        measured_notes: further notes, by the component that they are about.
        source: the id of the board of which this is a measured copy; empty when it is none.
    """

    model_config = ConfigDict(frozen=True)
    title: str
    created: str
    completions: int
    groups: int
    notes: tuple[str, ...] = ()
    tags: Tags = DEFAULT_TAGS
    measured_notes: Mapping[str, tuple[str, ...]] = {}
    source: str = ""


def write_rows(folder: Path, board: Board) -> None:
    """Keep the completions of a board and all that was measured of them.

    Raises:
        StorageError: the disk is full.
    """
    samples = board.samples
    columns = {
        "question": [sample.question for sample in samples],
        "reference": [sample.reference for sample in samples],
        "completion": [sample.completion for sample in samples],
        "group": [sample.group for sample in samples],
        "prompt": [sample.prompt for sample in samples],
        "columns": [json.dumps(dict(sample.columns), ensure_ascii=False) for sample in samples],
        "kind": list(board.kinds),
        "grade": board.grades,
        "valid": board.valid,
        "well_formed": board.well_formed,
    }
    measures = {f"{_MEASURE}{name}": values for name, values in board.measures.items()}
    buffer = io.BytesIO()
    pq.write_table(pa.table({**columns, **measures}), buffer, compression="zstd")
    write_bytes(folder / ROWS, buffer.getvalue())


def write_about(folder: Path, about: About) -> None:
    """Keep what is known of a board; a folder is one as soon as this is written."""
    write_json(folder / ABOUT, about.model_dump(mode="json"))


def read_about(folder: Path) -> About:
    """What is known of the board in a folder.

    Raises:
        DataError: its files are damaged or missing.
    """
    try:
        about = About.model_validate_json((folder / ABOUT).read_bytes())
    except (OSError, ValidationError) as error:
        raise _damaged(folder, ABOUT) from error
    if not (folder / ROWS).is_file():
        raise _damaged(folder, ROWS)
    return about


def read_board(folder: Path) -> Board:
    """The board in a folder.

    Raises:
        DataError: its files are damaged or missing.
    """
    about = read_about(folder)
    try:
        return _board(about, pq.read_table(folder / ROWS))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise _damaged(folder, ROWS) from error


def _board(about: About, table: pa.Table) -> Board:
    texts = [table.column(name).to_pylist() for name in ("question", "reference", "completion", "group", "prompt")]
    carried = [json.loads(text) for text in table.column("columns").to_pylist()]
    measures = [name for name in table.column_names if name.startswith(_MEASURE)]
    return Board(
        title=about.title,
        samples=tuple(Sample(*fields) for fields in zip(*texts, carried, strict=True)),
        kinds=tuple(table.column("kind").to_pylist()),
        grades=table.column("grade").to_numpy(),
        valid=table.column("valid").to_numpy(),
        well_formed=table.column("well_formed").to_numpy(),
        measures={name.removeprefix(_MEASURE): table.column(name).to_numpy() for name in measures},
        notes=(*about.notes, *chain.from_iterable(about.measured_notes.values())),
        tags=about.tags,
    )


def _damaged(folder: Path, file: str) -> DataError:
    return DataError(
        f"The board {folder.name} cannot be read: its {file} is damaged or missing. Put it back, or delete the board."
    )
