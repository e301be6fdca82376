"""Text from outside stays text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import output
from tests.build_runs import HOSTILE


def test_every_mark_of_markdown_is_escaped() -> None:
    escaped = output.escape(HOSTILE)
    assert re.search(r"[<!\[(*:]", escaped)
    assert not re.search(r"(?<!\\)[<!\[(*:]", escaped)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("see www.evil.example", "www."),
        ("see HTTP://evil.example", "://"),
        ("mail to a@evil.example", "a@"),
        ("an icon :material/check: here", ":material"),
        ("an emoji :+1:", ":+1:"),
        *((f"a {operator} b", operator) for operator in ("<->", "->", "<-", "--", ">=", "<=", "~=")),
        (">=", ">="),
        ("a >= >= b", ">="),
    ],
)
def test_what_is_rewritten_after_markdown_was_read_is_broken_and_looks_the_same(text: str, token: str) -> None:
    shown = output.escape(text).replace("\\", "")
    assert token not in shown
    assert shown.replace("\u2060", "") == text


@pytest.mark.parametrize("text", ["prepared:ward", "Line 3: 12:30", "x>=y", "a-b", "wwwx"])
def test_other_text_gets_no_invisible_character(text: str) -> None:
    assert "\u2060" not in output.escape(text)


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


def test_a_difference_is_marked_and_its_words_stay_text() -> None:
    def page() -> None:
        from core.compare.difference import word_difference
        from studio import output
        from tests.build_runs import HOSTILE

        output.difference(word_difference("Fever stays", f"{HOSTILE} stays ~~now~~"))

    at = AppTest.from_function(page, default_timeout=20).run()
    (shown,) = (element.value for element in at.markdown)
    assert ":red-background[~~Fever~~]" in shown
    marks = re.sub(r":(red|green)-background\[(~~|\*\*)|(~~|\*\*)\](?=\s|:|$)", "", shown)
    assert not re.search(r"(?<!\\)[<!\[(*~]", marks)


def test_two_texts_without_words_have_no_difference_to_show() -> None:
    def page() -> None:
        from core.compare.difference import word_difference
        from studio import output

        output.difference(word_difference("", " "))

    at = AppTest.from_function(page, default_timeout=20).run()
    assert [element.value for element in at.markdown] == ["–"]
