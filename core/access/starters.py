"""Who started a job, or made a comparison: `starter.json` in its folder.

A run that waits in the queue is started by whatever process finds room for it, and still acts for whoever queued it.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from core.access.actors import Actor, current_actor
from core.paths import write_json

STARTER = "starter.json"
_ACTOR = TypeAdapter(Actor)


def remember_starter(folder: Path) -> None:
    """Write down that whoever acts now has asked for what lies in `folder`, in the place of who did before.

    Raises:
        AccessDenied: it is not known who acts.
        StorageError: the disk is full.
    """
    write_json(folder / STARTER, asdict(current_actor()))


def starter_of(folder: Path) -> Actor | None:
    """Who has asked for what lies in `folder`; None where nobody wrote it down, as earlier versions did not."""
    try:
        return _ACTOR.validate_json((folder / STARTER).read_bytes())
    except (OSError, ValidationError):
        return None
