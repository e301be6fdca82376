"""The log of who did what: what is written, and that whatever is done to it afterwards shows."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from core.access import audit, late_records
from core.access.actors import Actor, acting_as
from core.access.audit import MENDED, Head, log_file, read_log, record, verify, waiting
from core.errors import AccessDenied
from core.locks import locked
from core.paths import PROJECT, Home, disk_full

MARIA = Actor("maria", "viewer", "proxy")


def filled(home: Home, count: int = 4) -> Path:
    """A log of `count` records."""
    for number in range(count):
        record(home, "run.label", f"run-{number}", archived=False)
    return log_file(home)


def head_of(home: Home) -> Path:
    return log_file(home).with_name("head.json")


def test_a_record_says_who_did_what_to_what(home: Home) -> None:
    with acting_as(MARIA):
        record(home, "vote.cast", "compare-1", rater="maria", undone=True)
    (entry,) = read_log(home)
    assert (entry.actor, entry.role, entry.source) == ("maria", "viewer", "proxy")
    assert (entry.action, entry.subject) == ("vote.cast", "compare-1")
    assert entry.details == {"rater": "maria", "undone": True}


def test_a_log_that_nobody_touched_is_whole(home: Home) -> None:
    assert verify(home).whole
    filled(home)
    found = verify(home)
    assert found.whole and found.records == 4 and found.hash == read_log(home)[-1].hash


def test_only_the_newest_are_read_when_asked_for(home: Home) -> None:
    filled(home)
    assert [entry.subject for entry in read_log(home, last=2)] == ["run-2", "run-3"]


def test_secrets_are_masked_and_long_texts_cut(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "opensesame")
    record(home, "export.push", "x" * 900, repository="a/opensesame \ud800")
    (entry,) = read_log(home)
    assert len(entry.subject) == 200
    assert entry.details["repository"] == "a/*** ?"
    assert verify(home).whole


def test_only_an_admin_reads_and_verifies(home: Home) -> None:
    filled(home)
    with acting_as(Actor("ben", "editor", "oidc")):
        with pytest.raises(AccessDenied):
            read_log(home)
        with pytest.raises(AccessDenied):
            verify(home)


def _changed(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"run-1", b"run-9"), *lines[2:]]


def _resealed(lines: list[bytes]) -> list[bytes]:
    """One record changed together with its own hash."""
    from core.access.audit_record import Record

    entry = Record.model_validate_json(lines[1]).model_copy(update={"actor": "somebody else"})
    return [lines[0], entry.sealed().model_dump_json().encode() + b"\n", *lines[2:]]


def _forged_end(lines: list[bytes]) -> list[bytes]:
    from core.access.audit_record import Record

    last = Record.model_validate_json(lines[-1])
    for _ in range(2):
        last = last.model_copy(update={"number": last.number + 1, "previous": last.hash}).sealed()
        lines = [*lines, last.model_dump_json().encode() + b"\n"]
    return lines


@pytest.mark.parametrize(
    ("tampered", "line"),
    [
        (_changed, 2),
        (_resealed, 3),
        (_forged_end, 7),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [lines[0], b"not a record\n", *lines[1:]], 2),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
        (lambda lines: lines[:-1], 4),
        (lambda lines: [], 1),
    ],
    ids=["changed", "resealed", "forged end", "taken out", "moved", "put in", "doubled", "cut off", "emptied"],
)
def test_whatever_is_done_to_the_file_is_found_at_its_line(
    home: Home, tampered: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    file = filled(home)
    file.write_bytes(b"".join(tampered(file.read_bytes().splitlines(keepends=True))))
    found = verify(home)
    assert not found.whole and found.line == line and found.reason
    record(home, "run.label", "after", archived=True)
    assert not verify(home).whole, "what is written later must not hide it"


def test_a_history_that_is_written_anew_does_not_fit_the_head(home: Home) -> None:
    kept = head_of(home)
    filled(home)
    head = kept.read_bytes()
    log_file(home).unlink()
    kept.unlink()
    filled(home, 5)
    kept.write_bytes(head)
    assert "written anew" in verify(home).reason


def test_a_head_that_is_gone_shows_for_ever(home: Home) -> None:
    filled(home)
    head_of(home).unlink()
    assert not verify(home).whole
    record(home, "run.label", "after", archived=True)
    found = verify(home)
    assert not found.whole and "head.json was missing" in found.reason


def test_half_a_record_after_a_crash_is_cut_off_and_said(home: Home) -> None:
    file = filled(home)
    whole = file.read_bytes()
    file.write_bytes(whole + whole.splitlines(keepends=True)[-1][:40])
    assert verify(home).whole
    record(home, "run.label", "after", archived=True)
    found = verify(home)
    assert found.whole and found.records == 6 and found.mended == (5,)
    assert read_log(home)[4].action == MENDED
    assert file.read_bytes().startswith(whole)


def test_a_record_whose_head_a_crash_has_kept_back_counts(home: Home) -> None:
    filled(home, 3)
    head = head_of(home).read_bytes()
    filled(home, 1)
    head_of(home).write_bytes(head)
    assert verify(home).whole
    record(home, "run.label", "after", archived=True)
    found = verify(home)
    assert found.whole and found.records == 5 and not found.mended


def test_the_head_names_the_last_record(home: Home) -> None:
    filled(home)
    head = Head.model_validate_json(head_of(home).read_bytes())
    assert (head.count, head.hash, head.bytes) == (4, read_log(home)[-1].hash, log_file(home).stat().st_size)


_WRITER = """
import sys
from pathlib import Path
from core.access.audit import record
from core.paths import Home

for number in range(10):
    record(Home(Path(sys.argv[1])), "vote.cast", str(number))
"""


def test_writers_of_several_processes_make_one_chain(home: Home) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(home.root)], cwd=PROJECT) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = verify(home)
    assert found.whole and found.records == 30


def test_a_line_is_plain_json_that_other_programs_read(home: Home) -> None:
    filled(home, 1)
    assert json.loads(log_file(home).read_text(encoding="utf-8"))["subject"] == "run-0"


def disk_full_for(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
    """From now on no file can be replaced; a line still fits at the end of one."""

    def refuse(path: Path, *further: object) -> None:
        raise disk_full(path.parent)

    for module in modules:
        monkeypatch.setattr(module, "write_json", refuse)


def test_a_disk_that_is_full_for_a_while_does_not_look_like_tampering(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(home, 2)
    with monkeypatch.context() as full:
        disk_full_for(full, audit, late_records)
        filled(home, 3)
    record(home, "run.label", "after", archived=True)
    found = verify(home)
    assert (found.whole, found.reason, found.records) == (True, "", 6)
    assert [entry.subject for entry in read_log(home)][2:] == ["run-0", "run-1", "run-2", "after"]


def test_two_crashes_in_a_row_do_not_look_like_tampering(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(home, 1)
    for _ in range(2):
        with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
            killed.setattr(audit, "_write_head", crash_at_the_end(audit._write_head, log_file(home)))
            filled(home, 1)
    record(home, "run.label", "after", archived=True)
    found = verify(home)
    assert (found.whole, found.reason, found.records) == (True, "", 4)


def crash_at_the_end(write: Callable[[Path, Head], None], log: Path) -> Callable[[Path, Head], None]:
    """A process that dies when a new record has been written, before the head says so."""
    before = log.stat().st_size

    def die(folder: Path, head: Head) -> None:
        if log.stat().st_size > before:
            raise KeyboardInterrupt
        write(folder, head)

    return die


def test_a_log_that_is_held_lets_a_record_wait_in_a_file_for_the_next_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(home, 1)
    monkeypatch.setattr(audit, "_RECORD_SECONDS", 0.0)
    with acting_as(MARIA), locked(log_file(home).with_name("log.lock"), 1, "held"):
        record(home, "vote.cast", "compare-1")
    assert (waiting(home), len(read_log(home))) == (1, 1)
    assert len(list(log_file(home).with_name("late").iterdir())) == 1
    record(home, "run.label", "after", archived=True)
    late = read_log(home)[1]
    assert (late.actor, late.role, late.action, late.subject) == ("maria", "viewer", "vote.cast", "compare-1")
    assert late.details == {"late": True}
    assert verify(home).whole and waiting(home) == 0


def test_a_record_that_can_be_written_nowhere_is_said_and_waits_in_memory(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    filled(home, 1)
    with monkeypatch.context() as full:
        disk_full_for(full, audit, late_records)
        full.setattr(audit, "LineWriter", no_room)
        record(home, "run.delete", "run-7")
    assert '"subject":"run-7"' in caplog.text and waiting(home) == 1
    record(home, "run.label", "after", archived=True)
    assert [entry.subject for entry in read_log(home)] == ["run-0", "run-7", "after"]
    assert waiting(home) == 0


def no_room(path: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_damaged_file_of_a_late_record_keeps_nobody_from_writing(home: Home) -> None:
    filled(home, 1)
    late = log_file(home).with_name("late")
    late.mkdir()
    (late / "1-00.json").write_text("{")
    record(home, "run.label", "after", archived=True)
    assert len(read_log(home)) == 2 and waiting(home) == 1
