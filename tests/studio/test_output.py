"""Text from outside stays text."""

from __future__ import annotations

import re
from pathlib import Path

from studio import output
from tests.build_runs import HOSTILE


def test_every_mark_of_markdown_is_escaped() -> None:
    escaped = output.escape(HOSTILE)
    assert re.search(r"[<!\[(*:]", escaped)
    assert not re.search(r"(?<!\\)[<!\[(*:]", escaped)


def test_escaping_loses_no_word() -> None:
    assert output.escape("a_b *c*\n# d").replace("\\", "") == "a_b *c* # d"


def test_tail_gives_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    lines = output.tail(log, 200).split("\n")
    assert (len(lines), lines[-1]) == (199, "line 99999")


def test_tail_shows_of_a_progress_bar_what_it_showed_last(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("start\n10%\r50%\r100%\nend\n")
    assert output.tail(log, 10) == "start\n100%\nend"


def test_tail_of_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert output.tail(tmp_path / "worker.log", 10) == ""


def test_tail_survives_bytes_that_are_no_text(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(b"ok\n\xff\xfe broken\n")
    assert "broken" in output.tail(log, 10)
