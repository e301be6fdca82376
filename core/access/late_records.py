"""Records that could not be written into the audit log when something was done: the disk was full, or the log held.

What was done cannot be undone, and must not be done twice because of that. So a record waits in a file of its own
beside the log, or in this process's memory where not even that can be written, until the next one is written.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from core.access.audit_record import Record
from core.errors import StorageError
from core.paths import write_json

_FOLDER = "late"
_in_memory: list[tuple[Path, Record]] = []
"""Log folders, and what waits for the log there."""


@dataclass(frozen=True)
class LateRecord:
    """A record that waits, and the file in which it does; None where it is only in memory."""

    entry: Record
    file: Path | None


def keep(folder: Path, entry: Record) -> None:
    """Let a record wait for the log in `folder`; it says of itself that it came late."""
    entry = entry.model_copy(update={"details": {**entry.details, "late": True}})
    file = folder / _FOLDER / f"{time.time_ns()}-{secrets.token_hex(4)}.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, entry.model_dump(mode="json"))
    except (StorageError, OSError):
        _in_memory.append((folder, entry))


def waiting(folder: Path) -> int:
    """How many records wait for the log in `folder`, as far as this process knows."""
    return len(_files(folder)) + sum(place == folder for place, _ in _in_memory)


def late_records(folder: Path) -> list[LateRecord]:
    """What waits for the log in `folder`, the oldest first; a damaged file stays where it is, and goes on counting."""
    found = [LateRecord(entry, None) for place, entry in _in_memory if place == folder]
    for file in _files(folder):
        with suppress(ValidationError):
            found.append(LateRecord(Record.model_validate_json(file.read_bytes()), file))
    return sorted(found, key=lambda late: late.entry.time)


def forget(folder: Path, late: LateRecord) -> None:
    """A record has arrived in the log."""
    if late.file is None:
        _in_memory.remove((folder, late.entry))
    else:
        late.file.unlink()


def _files(folder: Path) -> list[Path]:
    return sorted((folder / _FOLDER).glob("*.json"))
