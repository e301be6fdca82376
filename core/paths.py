"""Where things lie, which names are allowed, and how a file is replaced without a reader ever seeing half of it."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from core.errors import ConfigError, StorageError

PROJECT = Path(__file__).resolve().parent.parent
ASSETS = PROJECT / "assets"
SAMPLE_DATA = ASSETS / "samples" / "medical_qa.jsonl"
HOME_VARIABLE = "GRPO_STUDIO_HOME"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Home:
    """The folder that holds everything the studio writes, and the custom rewards that users put there."""

    root: Path

    @classmethod
    def open(cls, root: str | Path | None = None) -> Home:
        """Open the home folder, making it when it is not there.

        Args:
            root: the folder; by default the environment's `GRPO_STUDIO_HOME`, else `workspace/` in the project.

        Raises:
            StorageError: the folder cannot be made or written.
        """
        chosen = root or os.environ.get(HOME_VARIABLE) or PROJECT / "workspace"
        home = cls(Path(chosen).expanduser().resolve())
        try:
            home.root.mkdir(parents=True, exist_ok=True)
            for folder in (
                home.runs,
                home.tasks,
                home.models,
                home.data,
                home.cache,
                home.rewards,
                home.presets,
                home.lab,
            ):
                folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=home.root):
                pass
        except OSError as error:
            raise StorageError(
                f"The home folder {home.root} cannot be written ({error.strerror}). "
                f"Set {HOME_VARIABLE} or --home to a folder you may write to."
            ) from error
        return home

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def tasks(self) -> Path:
        return self.root / "tasks"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def rewards(self) -> Path:
        """Custom rewards, one Python file each."""
        return self.root / "rewards"

    @property
    def presets(self) -> Path:
        """Reward presets that the user has saved."""
        return self.root / "presets"

    @property
    def lab(self) -> Path:
        """Boards and votes of the reward lab."""
        return self.root / "lab"


def is_name(name: str) -> bool:
    """Whether `name` can serve as a file or run name on any system."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def valid_name(name: str, field: str = "name") -> str:
    """Return `name` if it can serve as a file or run name on any system.

    >>> valid_name("demo-1")
    'demo-1'
    """
    if not is_name(name):
        raise ConfigError(
            f"{field} is {name!r}: use 1 to 64 lower-case letters, digits, '.', '_' or '-', starting with a letter or "
            "digit."
        )
    return name


def inside(root: Path, path: Path) -> Path:
    """Return `path` resolved, or raise ConfigError when it lies outside `root`."""
    resolved = path.resolve()
    if not resolved.is_relative_to(root.resolve()):
        raise ConfigError(f"{path} lies outside {root}. Choose a place inside it.")
    return resolved


def new_folder(parent: Path, name: str) -> Path:
    """Make and return a folder `name`, or `name-2` and so on when it is there; nothing is ever overwritten.

    Raises:
        StorageError: the disk is full or the parent cannot be written.
    """
    for attempt in count(1):
        folder = parent / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise storage_error(error, folder) or error from error
        break
    return folder


def write_bytes(path: Path, content: bytes, sync: bool = True) -> None:
    """Replace `path` in one step, so that a reader sees the old content or the new and never a part.

    Args:
        sync: wait until it is on the disk; without, a machine that loses its power may lose it, a program that is
            killed may not.

    Raises:
        StorageError: the disk is full.
    """
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            part = Path(file.name)
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise storage_error(error, path) or error from error


def sync_files(files: Iterable[Path]) -> None:
    """Wait until all that was written to `files` is on the disk, so that a machine that loses its power keeps it."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any, sync: bool = True) -> None:
    """Replace `path` by `value` as JSON, in one step; `sync` as in `write_bytes`."""
    write_bytes(path, (json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode(), sync)


def storage_error(error: OSError, path: Path) -> StorageError | None:
    """The plain sentence for an operating system error that a user can mend, or None for any other."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path.parent)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(f"{path} cannot be written ({error.strerror}). Check who owns the folder.")
    return None


def disk_full(folder: Path) -> StorageError:
    """What to say when there is no room left where `folder` lies."""
    return StorageError(f"The disk that holds {folder} is full. Free some space and try again; what was saved is kept.")
