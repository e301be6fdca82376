"""Where boards come from: the bundled one, a run's completions, and those that are kept in `<home>/lab/boards/`.

A kept board is a folder there, named by its id; see `core.lab.board_store`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from core.access import audit
from core.access.permissions import allow
from core.errors import ConfigError, DataError
from core.lab.board import Board
from core.lab.board_store import ABOUT, About, read_about, read_board, write_about, write_rows
from core.lab.measuring import Measured, light_board, with_measures, with_shipped_scores
from core.lab.run_boards import run_board
from core.locks import locked
from core.paths import ASSETS, Home, is_name, new_folder, valid_name
from core.reward.scoring import Sample
from core.runs.run import find_run

BUNDLED = "bundled"
"""The id of the board that comes with the studio."""
RUN = "run:"
"""What stands before a run's id and its step in the id of a board."""
GROUPS = ASSETS / "lab" / "groups.jsonl"

_LONGEST_NAME = 58
"""Leaves room for the number that is put behind a name that is taken."""
_LOCK_SECONDS = 60
_BUSY = "Another process is just writing sample completions. Try again in a moment."


@dataclass(frozen=True)
class KeptBoard:
    """A board in the home."""

    id: str
    about: About


@dataclass(frozen=True)
class BrokenBoard:
    """A board in the home whose files are damaged, and why it cannot be used."""

    id: str
    reason: str


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


def save_board(home: Home, name: str, board: Board, source: str = "") -> str:
    """Keep a board under `name`, or `name-2` and so on when that is taken; returns its id.

    Args:
        source: the id of the board of which it is a measured copy.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: the name cannot be that of a folder.
        DataError: there is nothing to keep.
        StorageError: the disk is full or the home cannot be written.
    """
    allow("board.save")
    if valid_name(name, "the name of the board") == BUNDLED:
        raise ConfigError(f"{BUNDLED!r} is the board that comes with the studio. Choose another name.")
    if not len(board):
        raise DataError("There are no completions to keep. Add at least one.")
    folder = new_folder(boards_folder(home), name[:_LONGEST_NAME])
    write_rows(folder, board)
    about = About(
        title=board.title,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        completions=len(board),
        groups=len(board.groups),
        notes=board.notes,
        tags=board.tags,
        source=source,
    )
    write_about(folder, about)  # last: it makes the folder a board
    audit.record(home, "board.save", folder.name, completions=len(board))
    return folder.name


def add_measures(home: Home, board_id: str, found: Measured) -> None:
    """Give a kept board what was measured of its completions; whatever else it has by now stays.

    Raises:
        AccessDenied: whoever acts now may not.
        DataError: there is no such board any more, or it holds other completions now.
        StorageError: the disk is full.
    """
    allow("board.save")
    with _writing(home):
        _merge(_folder(home, board_id), found)
    audit.record(home, "board.measure", board_id)


def keep_copy(home: Home, name: str, source: str, board: Board, found: Measured) -> str:
    """Keep what was measured of a board that is not kept itself; returns the id of its kept copy.

    Args:
        name: of the copy, when there is none yet; as for `save_board`.
        source: the id of the board, as `resolved` gives it.

    Raises:
        AccessDenied: whoever acts now may not.
        StorageError: the disk is full.
    """
    allow("board.save")
    with _writing(home):
        copies = [kept.id for kept in list_boards(home) if kept.about.source == source]
        same = (copy for copy in copies if load_board(home, copy).keys == board.keys)
        copy = next(same, None) or save_board(home, name, board, source)
        _merge(_folder(home, copy), found)
    audit.record(home, "board.measure", copy, source=source)
    return copy


def _merge(folder: Path, found: Measured) -> None:
    about, kept = read_about(folder), read_board(folder)
    if kept.keys != found.keys:
        raise DataError(f"The board {folder.name} holds other completions than those measured. Measure it again.")
    write_rows(folder, with_measures(kept, found.columns))
    notes = {name: said for name, said in {**about.measured_notes, **found.notes}.items() if said}
    write_about(folder, about.model_copy(update={"measured_notes": notes}))


@contextmanager
def _writing(home: Home) -> Iterator[None]:
    with locked(home.lab / "boards.lock", _LOCK_SECONDS, _BUSY):
        yield


def list_boards(home: Home) -> list[KeptBoard]:
    """All kept boards that can be used, the newest first."""
    found = [kept for kept in _all_boards(home) if isinstance(kept, KeptBoard)]
    return sorted(found, key=lambda kept: (kept.about.created, kept.id), reverse=True)


def broken_boards(home: Home) -> tuple[BrokenBoard, ...]:
    """The kept boards whose files are damaged, by id."""
    return tuple(sorted((b for b in _all_boards(home) if isinstance(b, BrokenBoard)), key=lambda broken: broken.id))


def _all_boards(home: Home) -> Iterator[KeptBoard | BrokenBoard]:
    for folder in boards_folder(home).iterdir():
        if is_name(folder.name) and (folder / ABOUT).exists():
            try:
                yield KeptBoard(folder.name, read_about(folder))
            except DataError as error:
                yield BrokenBoard(folder.name, str(error))


def delete_board(home: Home, board_id: str) -> None:
    """Delete a kept board, broken ones included; votes on its completions stay.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: it is the bundled board, or a run's.
        DataError: there is no such board.
    """
    allow("board.delete")
    if board_id == BUNDLED or board_id.startswith(RUN):
        what = "comes with the studio" if board_id == BUNDLED else "belongs to a run"
        raise ConfigError(f"The board {board_id!r} {what} and cannot be deleted. Choose one that is kept.")
    with _writing(home):
        folder = _folder(home, board_id)
        (folder / ABOUT).unlink()  # first: it is no board any more, should the rest fail
        shutil.rmtree(folder, ignore_errors=True)
    audit.record(home, "board.delete", board_id)


def resolved(home: Home, board_id: str) -> str:
    """The id that names the same board for good: of a run's, the run's own id in place of `last`.

    Raises:
        RunError: there is no such run.
    """
    if not board_id.startswith(RUN):
        return board_id
    run_id, _, step = board_id.removeprefix(RUN).rpartition(":")
    return f"{RUN}{find_run(home, run_id).id}:{int(step) if step.isdecimal() else step}"


def load_board(home: Home, board_id: str) -> Board:
    """The board with this id: `bundled`, `run:<run id>:<step>`, or that of a kept one.

    Raises:
        DataError: there is no such board, or its files are damaged.
        RunError: there is no such run.
    """
    if board_id == BUNDLED:
        return bundled_board()
    if board_id.startswith(RUN):
        run_id, _, step = board_id.removeprefix(RUN).rpartition(":")
        return run_board(find_run(home, run_id), step)
    return read_board(_folder(home, board_id))


def _folder(home: Home, board_id: str) -> Path:
    folder = boards_folder(home) / board_id
    if not is_name(board_id) or not (folder / ABOUT).is_file():
        raise DataError(f"There is no board {board_id!r}. Choose one that is kept, or {BUNDLED!r}.")
    return folder
