"""What a log never holds."""

from __future__ import annotations

import io
import logging
import sys
from threading import Thread

import pytest

from core.scrubbing import ScrubbedStream, scrub_output, scrubbed

SECRETS = [
    "hf_" + "aB3" * 8,
    "sk-" + "proj-aB3_" * 4,
    "ghp_" + "aB3" * 10,
    "github_pat_" + "aB3_" * 8,
    "glpat-" + "aB3-" * 5,
    "xoxb-" + "123-abc" * 3,
    "AKIA" + "ABCD1234" * 2,
    "AIza" + "aB3_" * 9,
    "eyJ" + "hbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_what_has_the_shape_of_a_key_is_left_out(secret: str) -> None:
    assert secret not in scrubbed(f"refused ({secret}), try again")


def test_a_password_in_an_address_is_left_out_and_the_address_stays() -> None:
    assert scrubbed("at http://anna:geheim@proxy:3128/") == "at http://***@proxy:3128/"


@pytest.mark.parametrize("text", ["step 12: reward 0.43", "https://example.org:8443/v1@main", "risk-" * 9])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert scrubbed(text) == text


def test_a_secret_that_comes_in_pieces_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_TOKEN", "opensesame-42")
    written = io.StringIO()
    stream = ScrubbedStream(written)
    for piece in ("the key is open", "sesame", "-42, and", " more\n", "rest"):
        stream.write(piece)
    assert written.getvalue() == "the key is ***, and more\n"


def test_a_begun_line_is_written_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_TOKEN", "opensesame-42")
    written = io.StringIO()
    stream = ScrubbedStream(written)
    stream.write("now opensesame-42")
    stream.flush()
    assert written.getvalue() == "now ***"


def test_a_secret_that_is_cut_in_two_by_a_flush_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_TOKEN", "opensesame-42")
    written = io.StringIO()
    stream = ScrubbedStream(written)
    stream.write("the key is opensesame")
    stream.flush()
    assert written.getvalue() == "the key is "
    stream.write("-42, and more\n")
    assert written.getvalue() == "the key is ***, and more\n"


def test_threads_that_print_at_the_same_time_do_not_mix_their_lines() -> None:
    written = io.StringIO()
    stream = ScrubbedStream(written)
    other = Thread(target=stream.write, args=("other\n",))

    class Slow(str):
        """The other thread has its turn while this is joined to the begun line."""

        def __radd__(self, begun: str) -> str:
            other.start()
            other.join(timeout=0.2)
            return f"{begun}{self}"

    stream.write("begun ")
    stream.write(Slow("and ended\n"))
    other.join()
    assert written.getvalue() == "begun and ended\nother\n"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    written = io.StringIO()
    ScrubbedStream(written).write("x" * 100_000)
    assert len(written.getvalue()) == 100_000


def test_tracebacks_and_loggers_are_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_TOKEN", "opensesame-42")
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    scrub_output()
    logger = logging.Logger("own")
    logger.addHandler(logging.StreamHandler())
    try:
        raise ValueError("refused opensesame-42")
    except ValueError:
        logger.exception("it failed")
    assert "ValueError: refused ***" in written.getvalue()
    assert "opensesame" not in written.getvalue()
