"""Deletes runs, and says how much disk they take.

A run that is deleted is first moved to `<home>/trash/<run id>-<time>`, in one step, and removed there, so that no list
ever shows half a run. What a removal that was broken off leaves behind is removed with the next one.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.access import audit
from core.access.permissions import allow
from core.errors import RunError, StorageError
from core.jobs.supervisor import one_starter
from core.paths import Home, new_folder, storage_error
from core.runs.run import Run
from core.text import disk_size

EXPORTS, EXPORT_LOCK = "exports", "export.lock"
"""The folder of a run that holds its exports, and the file in each of them that its writer holds; see
`core.export.store`."""

_MOST_FILES = 20_000
"""Where counting stops: a run of a million steps keeps a file for each, and a question must not wait for that."""


@dataclass(frozen=True)
class Size:
    """How much disk something takes.

    Attributes:
        whole: whether all of it was counted; otherwise it is at least this much.
    """

    bytes: int
    whole: bool

    def __str__(self) -> str:
        """In words.

        >>> str(Size(1_234_567, whole=True)), str(Size(5_000_000_000, whole=False))
        ('1.2 MB', 'more than 5.0 GB')
        """
        return ("" if self.whole else "more than ") + disk_size(self.bytes)


def size_of(run: Run, most_files: int = _MOST_FILES) -> Size:
    """How much disk a run takes; of very many files only the first `most_files` are counted."""
    total = 0
    for number, entry in enumerate(_files(run.folder)):
        if number == most_files:
            return Size(total, whole=False)
        with suppress(FileNotFoundError):  # a live run replaces files
            total += entry.stat(follow_symlinks=False).st_size
    return Size(total, whole=True)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The files below a folder, one by one; none of a folder that goes away meanwhile."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(Path(entry.path))
                else:
                    yield entry
    except FileNotFoundError:
        return


def delete_run(home: Home, run: Run) -> None:
    """Remove a run for good: its configuration, curves, completions, checkpoints and adapter.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: it is live or waits for its turn, or one of its exports is being made or uploaded.
        StorageError: its files cannot be moved or removed.
    """
    allow("run.delete")
    with one_starter(home):  # or somebody resumes it between the look and the move
        trash = _move_to_trash(home, run)
    try:
        _remove(trash)  # first: on a full disk this makes the room that the record needs
        for left in sorted(trash.parent.iterdir()):
            _remove(left)
    finally:  # it is in no list any more, whatever is left of it
        audit.record(home, "run.delete", run.id)


def _move_to_trash(home: Home, run: Run) -> Path:
    """Take a run that no process works on out of the list of runs; returns where it lies now."""
    _refuse_busy(run)
    trash = home.root / "trash"
    trash.mkdir(exist_ok=True)
    with _no_writer(run), _no_export_at_work(run):
        place = new_folder(trash, f"{run.id}-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            run.folder.rename(place)
        except OSError as error:
            place.rmdir()
            problem = StorageError(f"{run.folder} cannot be moved to {trash} ({error.strerror}): it was not deleted.")
            raise storage_error(error, run.folder) or problem from error
    return place


def _refuse_busy(run: Run) -> None:
    status = run.status()
    if status.live:
        raise RunError(f"{run.id} is {status.state}. Stop it first, then delete it.")
    if status.state == "queued":
        raise RunError(f"{run.id} waits for its turn. Take it out of the queue first, then delete it.")


@contextmanager
def _no_writer(run: Run) -> Iterator[None]:
    """Hold what a job holds as long as it lives, whatever its status says."""
    try:
        run.writer_lock.parent.mkdir(exist_ok=True)
        with FileLock(run.writer_lock, timeout=0):
            yield
    except Timeout as error:
        raise RunError(f"A process still works on {run.id}. Wait until it has ended, then delete it.") from error


@contextmanager
def _no_export_at_work(run: Run) -> Iterator[None]:
    """Hold what whoever makes, uploads or deletes an export of the run holds."""
    with ExitStack() as held:
        for folder in sorted((run.folder / EXPORTS).glob("export-*")):
            try:
                held.enter_context(FileLock(folder / EXPORT_LOCK, timeout=0))
            except Timeout as error:
                raise RunError(
                    f"{folder.name} of {run.id} is being made or uploaded just now. Wait until that is done, or stop "
                    "it; then delete the run."
                ) from error
        yield


def _remove(place: Path) -> None:
    """Remove what lies in the trash; another process that does the same at this moment is no fault."""
    try:
        shutil.rmtree(place)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"{place} cannot be removed ({error.strerror}). It is in no list any more; remove it by hand."
        ) from error
