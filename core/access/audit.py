"""The log of who did what: `<home>/audit/log.jsonl`, to which records are only ever appended.

Each record holds the SHA-256 of its own content and of the record before it, so one that is changed, taken out or put
in breaks the chain. `head.json` says how far the log goes, so one that is cut off at its end shows, too. The next
record follows the head, not the last line, so a cut stays visible for ever.

No key is involved: whoever may write both files can write a new history from the start. Who has to rule that out keeps
what `verify` says (how many records, and the hash of the last one) somewhere else from time to time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from core.access import late_records
from core.access.actors import Actor, current_actor
from core.access.audit_record import Detail, Record, made_now
from core.access.permissions import allow
from core.errors import StorageError
from core.json_lines import LineWriter, finished
from core.locks import locked
from core.paths import Home, storage_error, write_json
from core.settings_base import Settings

_LOGGER = logging.getLogger(__name__)
MENDED = "audit.mended"
"""The action of a record that the log writes itself, where a crash or somebody else has left it damaged."""

_HALF = "half a record was cut off"
"""The one damage that a crash leaves behind; any other was done by somebody."""
_VERIFY_SECONDS = 30.0
_RECORD_SECONDS = 5.0
"""Whoever has done something waits so long for the log; then their record comes late."""
_BUSY = "The audit log is held by another process, so nothing can be written into it. Try again in a moment."


class Head(Settings):
    """How far the log goes: the number of its last record, that record's hash, and how many bytes the file has."""

    count: int = 0
    hash: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class Verified:
    """What came of reading the log from its first line to its last.

    Attributes:
        whole: whether nothing was changed, taken out, put in or cut off.
        records: how many records are in order, from the first on.
        hash: of the last of these; empty when there is none.
        line: the first line that is not in order, counted from 1; 0 when all are.
        reason: what is wrong there, in one sentence; empty when nothing is.
        mended: the lines where the log has noted that it was damaged by a crash and went on.
    """

    whole: bool
    records: int
    hash: str
    line: int = 0
    reason: str = ""
    mended: tuple[int, ...] = ()


def log_file(home: Home) -> Path:
    """Where the log lies."""
    return home.root / "audit" / "log.jsonl"


def home_of(folder: Path) -> Home:
    """The home of a job, a comparison or an evaluation: its folder lies in a list's folder there."""
    return Home(folder.parent.parent)


def record(home: Home, action: str, subject: str, **details: Detail) -> None:
    """Write down that whoever acts now has done something; it is on the disk when this returns.

    Where the disk is full, or another process keeps holding the log, it waits for the next record instead, and so does
    no harm to what was done; see `core.access.late_records`.

    Args:
        action: a `core.access.permissions.Action`, or a word of its own where one permission covers several things that
            are done, such as `task.stop`.
        details: names and numbers; a secret of the environment is masked, and long texts are cut.

    Raises:
        AccessDenied: it is not known who acts.
    """
    actor = current_actor()
    entry = made_now(actor, action, subject, details)
    try:
        with _writing(home, _RECORD_SECONDS) as folder:
            head = _with_late(folder, _mended(folder, actor))
            after = _add(folder, head, entry)
            with suppress(StorageError, OSError):  # the next record takes in a line that the head does not know
                _write_head(folder, after)
    except (StorageError, OSError) as error:
        late_records.keep(log_file(home).parent, entry)
        _LOGGER.error("A record comes late into the audit log: %s %s", error, entry.model_dump_json())


def waiting(home: Home) -> int:
    """How many records could not be written into the log yet; the next one brings them in."""
    return late_records.waiting(log_file(home).parent)


def read_log(home: Home, last: int | None = None) -> tuple[Record, ...]:
    """The records, the oldest first; lines that are none are passed over, `verify` names them.

    Args:
        last: only so many, the newest.

    Raises:
        AccessDenied: whoever acts now is no admin.
    """
    allow("audit.read")
    found = tuple(entry for _, entry in _lines(log_file(home)) if entry is not None)
    return found if last is None else found[max(len(found) - last, 0) :]


def verify(home: Home) -> Verified:
    """Read the whole log and tell whether it is as it was written.

    Raises:
        AccessDenied: whoever acts now is no admin.
        StorageError: another process keeps holding the log.
    """
    allow("audit.read")
    if not log_file(home).parent.is_dir():
        return Verified(whole=True, records=0, hash="")
    with _writing(home, _VERIFY_SECONDS) as folder:
        head = _head(folder)
        return _verified(log_file(home), head)


def _verified(file: Path, head: Head | None) -> Verified:
    number, previous = 0, ""
    mended: list[int] = []
    for line, entry in _lines(file):
        reason = _fault(entry, number, previous)
        if entry is None or reason:
            return Verified(False, number, previous, line, reason, tuple(mended))
        number, previous = entry.number, entry.hash
        mended += [line] if entry.action == MENDED else []
        if head is not None and number == head.count and previous != head.hash:
            reason = "head.json names another hash for this record: the log was written anew."
            return Verified(False, number, previous, line, reason, tuple(mended))
    reason = _fault_of_head(head, number)
    return Verified(not reason, number, previous, number + 1 if reason else 0, reason, tuple(mended))


def _fault(entry: Record | None, number: int, previous: str) -> str:
    """What is wrong with a line that follows record `number`, whose hash is `previous`; empty when nothing is."""
    if entry is None:
        return "This line is no record."
    if entry.hash != entry.computed_hash():
        return "This record was changed after it was written."
    if (entry.number, entry.previous) != (number + 1, previous):
        return f"This record does not follow record {number}: records were taken out, put in or moved before it."
    if entry.action == MENDED and entry.subject != _HALF:
        return f"Here the log has noted: {entry.subject}."
    return ""


def _fault_of_head(head: Head | None, number: int) -> str:
    if head is None:
        return "head.json is missing or damaged, so it does not show whether records were cut off at the end."
    if number < head.count:
        return f"The log ends after {number} of {head.count} records: the others were cut off."
    if number > head.count + 1:  # a crash can leave one record that the head does not know
        return f"The log has {number} records and head.json knows {head.count}: records were added by hand."
    return ""


def _append(folder: Path, head: Head, actor: Actor, subject: str, details: Mapping[str, Detail]) -> Head:
    """Let the log note damage of its own."""
    after = _add(folder, head, made_now(actor, MENDED, subject, details))
    _write_head(folder, after)
    return after


def _with_late(folder: Path, head: Head) -> Head:
    """Where the log goes on behind the records that waited for it."""
    for late in late_records.late_records(folder):
        head = _add(folder, head, late.entry)
        late_records.forget(folder, late)
        _write_head(folder, head)
    return head


def _add(folder: Path, head: Head, entry: Record) -> Head:
    """Write one record behind `head`; returns the head that belongs to it, which is not written."""
    entry = entry.following(head.count, head.hash)
    file = folder / "log.jsonl"
    writer = LineWriter(file)
    try:
        writer.write(entry.model_dump(mode="json"), sync=True)
    finally:
        writer.close()
    return Head(count=entry.number, hash=entry.hash, bytes=file.stat().st_size)


def _write_head(folder: Path, head: Head) -> None:
    write_json(folder / "head.json", head.model_dump(mode="json"))


def _mended(folder: Path, actor: Actor) -> Head:
    """Where the log goes on. What a crash has left behind is taken in, or cut off and said in a record of its own."""
    file = folder / "log.jsonl"
    head = _head(folder)
    if head is None:
        head = _head_of_last_line(file)
        if head.bytes:
            return _append(folder, head, actor, "head.json was missing", {"records": head.count})
        _write_head(folder, head)  # first: a log without a head is never new
    present = file.stat().st_size if file.exists() else 0
    if present == head.bytes:
        return head
    if present < head.bytes:
        return _append(folder, head, actor, "the log was cut off", {"bytes": present, "expected": head.bytes})
    return _with_rest(folder, head, actor)


def _with_rest(folder: Path, head: Head, actor: Actor) -> Head:
    """What follows when the file goes on behind what the head knows: one whole record, half a line, or neither."""
    file = folder / "log.jsonl"
    with file.open("rb") as log:
        log.seek(head.bytes)
        rest = log.read()
    entry = _parsed(rest[:-1]) if rest.count(b"\n") == 1 and rest.endswith(b"\n") else None
    if entry is not None and not _fault(entry, head.count, head.hash):
        taken_in = Head(count=entry.number, hash=entry.hash, bytes=head.bytes + len(rest))
        _write_head(folder, taken_in)  # or a second line could come to stand ahead, as if somebody had added it
        return taken_in
    if not finished(rest):
        os.truncate(file, head.bytes)
        return _append(folder, head, actor, _HALF, {"bytes": len(rest)})
    return _append(folder, head, actor, "lines were added by hand", {"bytes": len(rest)})


def _head(folder: Path) -> Head | None:
    try:
        return Head.model_validate_json((folder / "head.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _head_of_last_line(file: Path) -> Head:
    last = None
    for _, entry in _lines(file):
        last = entry or last
    size = file.stat().st_size if file.exists() else 0
    return Head(count=last.number if last else 0, hash=last.hash if last else "", bytes=size)


def _lines(file: Path) -> Iterator[tuple[int, Record | None]]:
    """Each whole line with its number; None where it is no record. Half a line at the end is not looked at."""
    try:
        with file.open("rb") as log:
            for number, line in enumerate(log, start=1):
                if line.endswith(b"\n"):
                    yield number, _parsed(line[:-1])
    except FileNotFoundError:
        return


def _parsed(line: bytes) -> Record | None:
    try:
        return Record.model_validate_json(line)
    except ValidationError:
        return None


@contextmanager
def _writing(home: Home, seconds: float) -> Iterator[Path]:
    """Hold the log, in its folder."""
    folder = log_file(home).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "log.lock", seconds, _BUSY):
            yield folder
    except OSError as error:
        raise storage_error(error, folder) or error from error
