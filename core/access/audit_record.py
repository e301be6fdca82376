"""One record of the audit log: who did what, and the hash that chains it to the record before."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping

from core.access.actors import Actor, Role, Source
from core.secrets import masked
from core.settings_base import Settings

Detail = str | int | float | bool | None

_LONGEST = 200
"""Characters of a subject or of a detail; they are names and numbers, never texts of users."""


class Record(Settings):
    """One line of the log.

    Attributes:
        number: counted from 1; 0 as long as it is not in the log.
        time: when it was done, in seconds since 1970.
        actor, role, source: who, with which role, and how that was known.
        action: what was done, such as `run.delete`.
        subject: to what: the id of a run, a comparison, a person's name.
        details: numbers and names that say more; never texts of users or models.
        previous: the hash of the record before; empty of the first.
        hash: SHA-256 of all the others, in hexadecimal digits.
    """

    number: int
    time: float
    actor: str
    role: Role
    source: Source
    action: str
    subject: str
    details: Mapping[str, Detail] = {}
    previous: str
    hash: str = ""

    def computed_hash(self) -> str:
        """The hash that belongs to what stands here."""
        return hashlib.sha256(_canonical(self.model_dump(mode="json", exclude={"hash"}))).hexdigest()

    def sealed(self) -> Record:
        return self.model_copy(update={"hash": self.computed_hash()})

    def following(self, number: int, previous: str) -> Record:
        """The same, sealed, behind record `number` whose hash is `previous`."""
        return self.model_copy(update={"number": number + 1, "previous": previous}).sealed()


def made_now(actor: Actor, action: str, subject: str, details: Mapping[str, Detail]) -> Record:
    """What `actor` has just done, not yet in the log. Secrets of the environment are masked, and long texts cut."""
    return Record(
        number=0,
        time=time.time(),
        actor=_short(actor.name),
        role=actor.role,
        source=actor.source,
        action=action,
        subject=_short(subject),
        details={name: _short(value) if isinstance(value, str) else value for name, value in details.items()},
        previous="",
    )


def _canonical(value: Mapping[str, object]) -> bytes:
    """The one way to write a record as JSON: ASCII, ordered names, no space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _short(text: str) -> str:
    return masked(text)[:_LONGEST].encode("utf-8", "replace").decode()
