"""Brings a run that `core.runs.export` has packed into a home.

A zip file comes from anywhere, so only files that belong to a run are taken, each to its own place; what would be put
elsewhere, is no run, or would unpack to more than it can honestly be is refused before anything is written.
"""

from __future__ import annotations

import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import psutil

from core.access import audit
from core.access.permissions import allow
from core.errors import ConfigError, RunError, StorageError
from core.jobs.tasks import Tell, silent
from core.paths import Home, is_name, new_folder, storage_error
from core.runs.export import belongs
from core.runs.labels import read_label
from core.runs.run import Run

_CONFIG = "config.json"
_SMALL_BYTES = 200_000_000
"""Unpacking to this much is no harm, however small the zip file is."""
_MOST_TIMES = 100
"""How many times larger than the zip file a run may be; text and curves shrink by ten to thirty times."""
_KEPT_FREE_BYTES = 1_000_000_000
_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 1
_NAME_CHARACTERS = 56
"""Of the run's id; room is left for a number when it is taken."""


@dataclass(frozen=True)
class Imported:
    """A run that was brought in.

    Attributes:
        notes: what the user should know of it, one sentence each; may hold names from the file.
    """

    run: Run
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Contents:
    """What a zip file holds of a run.

    Attributes:
        name: of the run's folder in it.
        files: each entry that is taken, with its path inside the run's folder.
        left_out: how many entries are not taken.
    """

    name: str
    files: tuple[tuple[zipfile.ZipInfo, PurePosixPath], ...]
    left_out: int


def import_run(home: Home, file: Path, progress: Tell = silent) -> Imported:
    """Unpack an exported run into `home`; an id that is taken there gets a number.

    Raises:
        AccessDenied: whoever acts now may not, or may not bring the code of a custom reward and the run does.
        RunError: the file is no exported run, is damaged, or is not safe to unpack.
        StorageError: there is too little room.
    """
    allow("run.import")
    with _opened(file) as archive:
        contents = _contents(archive, file)
        if any(path.suffix == ".py" for _, path in contents.files):
            allow("reward.code")
        _refuse_large(contents, home, file)
        with tempfile.TemporaryDirectory(dir=home.runs, prefix=".import-") as scratch:
            run = Run(Path(scratch) / "run")
            _unpack(archive, contents, run.folder, progress)
            _settle(run, file)
            place = new_folder(home.runs, contents.name)
            run.folder.rename(place)
    audit.record(home, "run.import", place.name)
    return Imported(Run(place), tuple(_notes(Run(place), contents)))


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The file as a zip file; whatever is wrong with it in the length of the `with` block is told in one sentence."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except FileNotFoundError as error:
        raise RunError(f"There is no file {file}. Check the path.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise RunError(f"{file.name} is not a whole zip file ({error}). Export the run again.") from error
    except NotImplementedError as error:
        raise RunError(f"{file.name} is packed in a way unknown here ({error}). Export the run again.") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise RunError(f"{file.name} holds two files of one name, so it is not safe to unpack.") from error
    except (OSError, ValueError, IndexError, struct.error) as error:  # of entries that lie where none can
        known = storage_error(error, file) if isinstance(error, OSError) else None
        raise known or RunError(f"{file.name} is not a whole zip file. Export the run again.") from error


def _contents(archive: zipfile.ZipFile, file: Path) -> _Contents:
    """What there is of a run in the archive, every path checked."""
    entries = [(entry, _safe(entry, file)) for entry in archive.infolist() if not entry.is_dir()]
    roots = {path.parent for _, path in entries if path.name == _CONFIG and len(path.parts) <= 2}
    if len(roots) != 1:
        raise RunError(f"{file.name} holds no run: it has no {_CONFIG}, or several. Choose a zip that the studio made.")
    (root,) = roots
    inside = [(entry, path.relative_to(root)) for entry, path in entries if path.is_relative_to(root)]
    taken = tuple((entry, path) for entry, path in inside if belongs(path))
    name = root.name[:_NAME_CHARACTERS]
    return _Contents(name if is_name(name) else "imported", taken, len(entries) - len(taken))


def _safe(entry: zipfile.ZipInfo, file: Path) -> PurePosixPath:
    """The path of an entry.

    Raises:
        RunError: it leads elsewhere than into the run's own folder, or is no name on some system.
    """
    path = PurePosixPath(entry.filename)
    odd = "\\" in entry.filename or ":" in entry.filename or not entry.filename.isprintable()
    if odd or path.is_absolute() or ".." in path.parts or max(map(len, path.parts), default=999) > 200:
        raise RunError(f"{file.name} holds the path {entry.filename!r}, so it is not safe to unpack. It was refused.")
    if entry.flag_bits & _ENCRYPTED:
        raise RunError(f"{file.name} is locked with a password. Unlock it first, or export the run again.")
    return path


def _refuse_large(contents: _Contents, home: Home, file: Path) -> None:
    total = sum(entry.file_size for entry, _ in contents.files)  # never more is read than an entry says that it holds
    if total > max(_SMALL_BYTES, _MOST_TIMES * file.stat().st_size):
        raise RunError(
            f"{file.name} would unpack to {total / 1e9:.1f} GB, more than {_MOST_TIMES} times its size. No run shrinks "
            "like that, so it was refused."
        )
    free = psutil.disk_usage(str(home.root)).free
    if total + _KEPT_FREE_BYTES > free:
        raise StorageError(
            f"{file.name} unpacks to {total / 1e9:.1f} GB and only {free / 1e9:.1f} GB are free where {home.root} "
            "lies. Free some space and try again."
        )


def _unpack(archive: zipfile.ZipFile, contents: _Contents, folder: Path, progress: Tell) -> None:
    total, done = sum(entry.file_size for entry, _ in contents.files), 0
    for name in ("completions", "control", "checkpoints"):
        (folder / name).mkdir(parents=True)
    for entry, path in contents.files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, target.open("xb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                progress("unpacking the run", done, total)


def _settle(run: Run, file: Path) -> None:
    """Check what was unpacked, and say that no process here works on it."""
    try:
        run.config()
        read_label(run)
        status = run.read_status()
    except (ConfigError, RunError) as error:
        raise RunError(f"{file.name} holds no run that this studio can read. {error}") from error
    except FileNotFoundError as error:
        message = f"{file.name} holds no run: it has no status.json. Choose a zip that the studio made."
        raise RunError(message) from error
    ended = "interrupted" if status.live or status.state == "queued" else status.state
    run.write_status(replace(status, state=ended, pid=0, created=0.0, eta_seconds=None, phase="", gpus=(), ticket=0))


def _notes(run: Run, contents: _Contents) -> Iterator[str]:
    if contents.left_out:
        yield f"{contents.left_out} files in it that are no part of a run were left out."
    scripts = sorted(script.stem for script in run.rewards.glob("*.py")) if run.rewards.is_dir() else []
    if scripts:
        yield (
            f"It brings custom rewards ({', '.join(scripts)}): programs that run on this machine when the run is "
            "resumed. Resume it only if you trust who sent it."
        )
