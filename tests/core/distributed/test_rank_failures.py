"""Which of several processes' errors is the cause, and how the user reads of it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from core import errors
from core.engine.rank_failures import FailedElsewhere, cause, failures_told, forget_failures, refused
from core.errors import Diverged, MissingColumn, OutOfMemory, RewardError, RunError
from core.paths import Home
from core.presets import preset_config
from core.runs.run import Run, create_run

LOST = RuntimeError("[pair.cc:538] Read error [127.0.0.1]: Connection reset by peer")


@pytest.fixture
def run(home: Home) -> Run:
    return create_run(home, preset_config("demo"))


def fail(run: Run, rank: int, error: Exception) -> None:
    with suppress(Exception), failures_told(run, rank):
        raise error


@pytest.mark.parametrize("error", [Diverged("Training broke down."), OutOfMemory("Too large."), RewardError("Broken.")])
def test_an_error_of_the_studio_comes_back_as_it_was(error: errors.StudioError, run: Run) -> None:
    fail(run, 1, error)
    found = cause(run)
    assert type(found) is type(error) and str(found) == str(error)
    assert refused(run)


def test_an_error_that_holds_more_than_words_comes_back_as_its_kind(run: Run) -> None:
    fail(run, 0, MissingColumn("The reward length needs a column.", "length", "age"))
    found = cause(run)
    assert isinstance(found, RewardError) and str(found) == "The reward length needs a column."


def test_the_first_error_is_the_cause(run: Run) -> None:
    fail(run, 1, RewardError("The judge cannot be asked."))
    fail(run, 0, LOST)
    fail(run, 2, RewardError("Too late."))
    assert str(cause(run)) == "The judge cannot be asked."


def test_one_that_only_lost_the_others_is_never_the_cause(run: Run) -> None:
    fail(run, 0, LOST)
    fail(run, 1, ValueError("shapes differ"))
    assert "ValueError: shapes differ" in str(cause(run))
    assert not refused(run)


@pytest.mark.parametrize("told", [[], [LOST]])
def test_a_process_that_is_gone_without_a_word_is_said_to_be_lost(told: list[Exception], run: Run) -> None:
    for rank, error in enumerate(told):
        fail(run, rank, error)
    found = cause(run)
    assert isinstance(found, RunError) and "was lost without a word" in str(found)


def test_what_the_first_tells_itself_is_not_told_by_the_others(run: Run) -> None:
    fail(run, 1, FailedElsewhere())
    assert "was lost without a word" in str(cause(run))


def test_a_file_that_was_not_finished_counts_for_nothing(run: Run) -> None:
    fail(run, 0, RewardError("The judge cannot be asked."))
    next((run.folder / "control" / "failures").iterdir()).write_text('{"rank": 0, "ki', encoding="utf-8")
    assert "was lost without a word" in str(cause(run))


def test_an_earlier_start_is_forgotten(run: Run) -> None:
    fail(run, 0, RewardError("The judge cannot be asked."))
    forget_failures(run)
    assert not refused(run)
