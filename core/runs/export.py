"""Packs a run into a zip file that can be kept, sent on, and brought into another home (`core.runs.importing`).

<run id>.zip
  <run id>/config.json, label.json, status.json, events.jsonl, milestones.jsonl
  <run id>/curves/ completions/ adapter/ best/ rewards/
  <run id>/checkpoints/     only when asked for; with them the run can be resumed elsewhere

A run holds no secrets: keys come from the environment and are written nowhere. Its log is left out all the same, since
libraries print into it what they like, and so is `training_args.bin`, a pickle that nothing here reads.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from core.access import audit
from core.access.permissions import allow
from core.errors import RunError, StorageError
from core.jobs.tasks import Progress, Tell, silent
from core.paths import Home, storage_error
from core.runs.labels import LABEL
from core.runs.run import Run, find_run

FILES = ("config.json", LABEL, "status.json", "events.jsonl", "milestones.jsonl")
FOLDERS = ("curves", "completions", "adapter", "best", "rewards")
CHECKPOINTS = "checkpoints"
_LEFT_OUT = "training_args.bin"
_ADAPTERS = ("adapter", "best")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle")
"""Endings of files that PyTorch would load as pickles."""
_DENSE = (".safetensors", ".parquet", ".pt", ".pth")
"""Endings of files that compression does not make smaller."""
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Packed:
    """One file of a run: where it lies, and its path inside the run's folder."""

    file: Path
    path: PurePosixPath


def belongs(path: PurePosixPath, checkpoints: bool = True) -> bool:
    """Whether a file at this path inside a run's folder is part of an exported run.

    An adapter is weights and texts. Pickles are only where the trainer keeps the optimiser's state; what would run code
    when it is read is found before a resume uses it (`core.engine.checkpoints`).

    >>> belongs(PurePosixPath("curves/level-0.bin")), belongs(PurePosixPath("adapter/adapter_model.bin"))
    (True, False)
    """
    top, name = path.parts[0], path.name
    if name.startswith(".") or name == _LEFT_OUT:
        return False
    if len(path.parts) == 1:
        return name in FILES
    if top == CHECKPOINTS:
        return checkpoints and len(path.parts) > 2 and path.suffix != ".py"  # DeepSpeed puts scripts there
    return top in FOLDERS and not (top in _ADAPTERS and path.suffix in _PICKLES)


def exports_folder(home: Home) -> Path:
    """Where the zip files lie that the studio makes."""
    folder = home.root / "exports"
    folder.mkdir(exist_ok=True)
    return folder


def export_run(run: Run, target: Path, checkpoints: bool = False, progress: Tell = silent) -> Path:
    """Pack a run into the new file `target`; a live run is packed as it is at this moment.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: the run is not there any more.
        StorageError: the file is there already, or cannot be written.
    """
    allow("run.export")
    taken = StorageError(f"{target} is there already and is not written over. Choose another name.")
    if target.exists():
        raise taken
    with _part_of(target) as part:
        _pack(run, part, checkpoints, progress)
        if not _publish(part, target):
            raise taken
    audit.record(audit.home_of(run.folder), "run.export", run.id, checkpoints=checkpoints)
    return target


def export_to_home(home: Home, run: Run, checkpoints: bool = False, progress: Tell = silent) -> Path:
    """Pack a run into `<home>/exports/<run id>-<n>.zip`, where n is the first number that is free.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: the run is not there any more.
        StorageError: the disk is full.
    """
    allow("run.export")
    folder = exports_folder(home)
    with _part_of(folder / f"{run.id}.zip") as part:
        _pack(run, part, checkpoints, progress)
        numbered = (folder / f"{run.id}-{number}.zip" for number in count(1))
        packed = next(target for target in numbered if _publish(part, target))
    audit.record(home, "run.export", run.id, checkpoints=checkpoints, file=packed.name)
    return packed


def export_task(home: Home, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The task "export_run": pack each of the `runs`, with their `checkpoints` or without, into the home's exports.

    Returns:
        `files`: the names of the zip files there.
    """
    runs = [find_run(home, run_id) for run_id in arguments["runs"]]
    files = [export_to_home(home, run, bool(arguments["checkpoints"]), progress) for run in runs]
    return {"files": [file.name for file in files]}


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """A file beside `target` to write into; it is gone afterwards, whatever happens."""
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            part = Path(file.name)
        yield part
    except OSError as error:
        raise storage_error(error, target) or StorageError(f"{target} cannot be written ({error.strerror}).") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _publish(part: Path, target: Path) -> bool:
    """Give a finished file its name in one step; False when that name is taken."""
    try:
        target.touch(exist_ok=False)
    except FileExistsError:
        return False
    part.replace(target)
    return True


def _pack(run: Run, part: Path, checkpoints: bool, progress: Tell) -> None:
    phase = f"packing {run.id}"
    progress(phase, 0, 0)
    files = list(_packed(run, checkpoints))
    total, done = sum(_size(packed.file) for packed in files), 0
    with zipfile.ZipFile(part, "w", strict_timestamps=False) as archive:
        for packed in files:
            with suppress(FileNotFoundError):  # a live run replaces files and removes checkpoints
                for read in _add(archive, run, packed):
                    done += read
                    progress(phase, min(done, total), total)
    if not run.config_file.is_file():
        raise RunError(f"{run.id} was deleted while it was packed.")


def _packed(run: Run, checkpoints: bool) -> Iterator[Packed]:
    """The files of a run that are exported; of its checkpoints only whole ones."""
    whole = {f"checkpoint-{step}" for step in run.checkpoint_steps()}
    for folder, names, files in os.walk(run.folder):
        inside = PurePosixPath(Path(folder).relative_to(run.folder).as_posix())
        if inside == PurePosixPath("."):
            names[:] = [name for name in names if name in (*FOLDERS, CHECKPOINTS)]
        elif inside == PurePosixPath(CHECKPOINTS):
            names[:] = [name for name in names if name in whole]
        for name in files:
            if belongs(inside / name, checkpoints):
                yield Packed(Path(folder) / name, inside / name)


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def _add(archive: zipfile.ZipFile, run: Run, packed: Packed) -> Iterator[int]:
    """Add one file to the archive; yields how many bytes of it were read, part by part."""
    with packed.file.open("rb") as source:
        entry = zipfile.ZipInfo.from_file(packed.file, f"{run.id}/{packed.path}", strict_timestamps=False)
        entry.compress_type = zipfile.ZIP_STORED if packed.file.suffix in _DENSE else zipfile.ZIP_DEFLATED
        with archive.open(entry, "w", force_zip64=True) as target:  # a log may grow beyond what it was
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
                yield len(chunk)
