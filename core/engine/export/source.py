"""A copy of the adapter that an export is made of, so that all its forms are of the same one.

Training may go on meanwhile and put another adapter in the place of the run's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import RunError
from core.export.request import ExportRequest
from core.export.store import adapter_to_export
from core.paths import Home, storage_error
from core.serving.adapter_files import WEIGHTS

_WANTED = ("*.json", "*.jinja", "*.model", "*.txt", WEIGHTS, "additional_chat_templates/*.jinja")
"""All but what training needs to go on: a checkpoint's optimizer is larger than the adapter."""
_ATTEMPTS = 3

_State = tuple[tuple[str, int, int, int], ...]


def copy_source(home: Home, request: ExportRequest, target: Path) -> None:
    """Copy the adapter that is asked for to `target`, which is made here.

    Raises:
        RunError: the run is gone, has no such adapter, or is writing it again and again just now.
        ConfigError: the checkpoint is none, or the run's configuration cannot be read.
        ModelError: the adapter is damaged, or belongs to another base model than the run's.
        StorageError: the disk is full.
    """
    for _ in range(_ATTEMPTS):
        folder = adapter_to_export(home, request).folder
        try:
            before = _state(folder)
            shutil.rmtree(target, ignore_errors=True)
            for name, *_ in before:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, target / name)
            if before and _state(folder) == before:
                return
        except FileNotFoundError:  # another adapter is just taking its place
            continue
        except OSError as error:
            raise storage_error(error, target) or error from error
    raise RunError(
        f"The adapter of {request.run} is being written just now. Wait a minute, then start the export again."
    )


def _state(folder: Path) -> _State:
    """The adapter's files, and what changes when one of them is written anew."""
    files = sorted(file for pattern in _WANTED for file in folder.glob(pattern))
    found = ((file.relative_to(folder).as_posix(), file.stat()) for file in files)
    return tuple((name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in found)
