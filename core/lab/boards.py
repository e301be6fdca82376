"""Where boards come from: the bundled one, a run's completions, and those that are kept in the home.

<home>/lab/boards/<id>/
  board.parquet    one row for each completion; measures are the columns whose name begins with `measure:`
  board.json       About: title, notes, tags
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from core.completions import Completion, read_completions, step_file
from core.config import RewardConfig, Tags
from core.errors import ConfigError, DataError
from core.lab.board import Board, column, in_groups
from core.lab.board_files import board_from_file, board_from_rows, board_from_text
from core.lab.measuring import light_board, with_measures, with_other_fluencies, with_shipped_scores
from core.paths import ASSETS, Home, is_name, new_folder, valid_name, write_bytes, write_json
from core.runs import Run, find_run
from core.scoring import Sample

__all__ = [
    "BUNDLED",
    "About",
    "KeptBoard",
    "add_measures",
    "board_from_file",
    "board_from_rows",
    "board_from_text",
    "bundled_board",
    "bundled_completions",
    "list_boards",
    "load_board",
    "run_board",
    "save_board",
    "steps_with_completions",
]

BUNDLED = "bundled"
"""The id of the board that comes with the studio."""
RUN = "run:"
"""What stands before a run's id and its step in the id of a board."""
GROUPS = ASSETS / "lab" / "groups.jsonl"

_ROWS, _ABOUT = "board.parquet", "board.json"
_MEASURE = "measure:"
_STEP_FILE = re.compile(r"step-(\d+)\.parquet")
_LONGEST_NAME = 58
"""Leaves room for the number that is put behind a name that is taken."""


class About(BaseModel):
    """What is known of a kept board without its completions.

    Attributes:
        title: what the user calls it; text from outside.
        created: when it was saved, in UTC.
        completions, groups: how many there are.
        notes, tags: as in `Board`.
    """

    model_config = ConfigDict(frozen=True)
    title: str
    created: str
    completions: int
    groups: int
    notes: tuple[str, ...] = ()
    tags: Tags = Tags()


@dataclass(frozen=True)
class KeptBoard:
    """A board in the home."""

    id: str
    about: About


@cache
def bundled_board() -> Board:
    """The completions that come with the studio, measured with the embedded models. Nothing is loaded for it."""
    return with_shipped_scores(bundled_completions())


def bundled_completions() -> Board:
    """The completions that come with the studio, with all that needs no model."""
    samples: list[Sample] = []
    kinds: list[str] = []
    grades: list[float] = []
    for line in GROUPS.read_text(encoding="utf-8").splitlines():
        group = json.loads(line)
        for completion in group["completions"]:
            samples.append(Sample(group["question"], group["reference"], completion["text"], group["group"]))
            kinds.append(completion["kind"])
            grades.append(completion["grade"])
    return light_board("Bundled examples", samples, kinds, grades)


def boards_folder(home: Home) -> Path:
    folder = home.lab / "boards"
    folder.mkdir(exist_ok=True)
    return folder


def save_board(home: Home, name: str, board: Board) -> str:
    """Keep a board under `name`, or `name-2` and so on when that is taken; returns its id.

    Raises:
        ConfigError: the name cannot be that of a folder.
        DataError: there is nothing to keep.
        StorageError: the disk is full or the home cannot be written.
    """
    if valid_name(name, "the name of the board") == BUNDLED:
        raise ConfigError(f"{BUNDLED!r} is the board that comes with the studio. Choose another name.")
    if not len(board):
        raise DataError("There are no completions to keep. Add at least one.")
    folder = new_folder(boards_folder(home), name[:_LONGEST_NAME])
    write_bytes(folder / _ROWS, _parquet(board))
    about = About(
        title=board.title,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        completions=len(board),
        groups=len(board.groups),
        notes=board.notes,
        tags=board.tags,
    )
    write_json(folder / _ABOUT, about.model_dump(mode="json"))  # last: it makes the folder a board
    return folder.name


def add_measures(home: Home, board_id: str, board: Board) -> None:
    """Give a kept board the measures of `board`, which holds the same completions; what it had besides stays.

    Raises:
        DataError: there is no such board any more.
        StorageError: the disk is full.
    """
    folder = _folder(home, board_id)
    with FileLock(home.lab / "boards.lock"):
        kept = _read(folder)
        write_bytes(folder / _ROWS, _parquet(with_measures(kept, board.measures)))


def list_boards(home: Home) -> list[KeptBoard]:
    """All kept boards, the newest first."""
    folders = [folder for folder in boards_folder(home).iterdir() if is_name(folder.name)]
    found = [KeptBoard(folder.name, _about(folder)) for folder in folders if (folder / _ABOUT).is_file()]
    return sorted(found, key=lambda kept: (kept.about.created, kept.id), reverse=True)


def load_board(home: Home, board_id: str) -> Board:
    """The board with this id: `bundled`, `run:<run id>:<step>`, or that of a kept one.

    Raises:
        DataError: there is no such board.
        RunError: there is no such run.
    """
    if board_id == BUNDLED:
        return bundled_board()
    if board_id.startswith(RUN):
        run_id, _, step = board_id.removeprefix(RUN).rpartition(":")
        return run_board(find_run(home, run_id), step)
    return _read(_folder(home, board_id))


def _folder(home: Home, board_id: str) -> Path:
    folder = boards_folder(home) / board_id
    if not is_name(board_id) or not (folder / _ABOUT).is_file():
        raise DataError(f"There is no board {board_id!r}. Choose one that is kept, or {BUNDLED!r}.")
    return folder


def steps_with_completions(run: Run) -> list[int]:
    """The training steps of which a run has kept the completions, in order."""
    found = (_STEP_FILE.fullmatch(file.name) for file in run.completions.glob("step-*.parquet"))
    return sorted(int(match[1]) for match in found if match)


def run_board(run: Run, step: str) -> Board:
    """The completions of a training step, with the scores they had then.

    Raises:
        DataError: the run has kept none of that step.
    """
    found = read_completions(step_file(run, int(step))) if step.isdecimal() else []
    if not found:
        steps = steps_with_completions(run)
        known = f"it has those of the steps {steps[0]} to {steps[-1]}" if steps else "it has none yet"
        raise DataError(f"{run.id} has kept no completions of step {step!r}; {known}.")
    config = run.config()
    samples = [Sample(item.question, item.reference, item.completion, item.group) for item in found]
    order = in_groups(samples)
    found, samples = [found[row] for row in order], [samples[row] for row in order]
    board = light_board(f"{run.id}, step {step}", samples, tags=config.prompt.tags)
    return _with_logged(board, found, config.reward)


def _with_logged(board: Board, found: Sequence[Completion], config: RewardConfig) -> Board:
    """The board with what the run wrote of each completion; validity was judged against the whole prompt."""
    logged = [name for name in config.components if all(name in item.components for item in found)]
    measures = {column(name, config): np.array([item.components[name] for item in found]) for name in logged}
    valid, well_formed = np.array([(item.valid, item.well_formed) for item in found], dtype=bool).T
    board = replace(board, valid=valid, well_formed=well_formed)
    return with_other_fluencies(with_measures(board, measures), config)


def _parquet(board: Board) -> bytes:
    """The completions and all that was measured of them, as one Parquet file."""
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
    return buffer.getvalue()


def _read(folder: Path) -> Board:
    about, table = _about(folder), pq.read_table(folder / _ROWS)
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
        notes=about.notes,
        tags=about.tags,
    )


def _about(folder: Path) -> About:
    return About.model_validate_json((folder / _ABOUT).read_text(encoding="utf-8"))
