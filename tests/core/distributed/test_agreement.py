"""What the processes of a run tell each other, between two real ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from core.engine import agreement
from core.engine.agreement import by_first, from_all, to_first
from core.engine.reporting import Stopped
from core.errors import RewardError
from core.paths import PROJECT
from core.ports import LOOPBACK, free_port

TALK = """
import json
from core.engine import agreement
from core.engine.agreement import by_first, from_all, to_first
from core.engine.reporting import Stopped
from core.errors import RewardError

def broken(error):
    def act():
        raise error
    try:
        by_first(act)
    except Exception as error:
        return type(error).__name__
    return "nothing"

with agreement.joined():
    rank = agreement.number()
    print(json.dumps({
        "of": agreement.count(),
        "first": agreement.is_first(),
        "decided": by_first(lambda: f"by {rank}"),
        "to_first": to_first(rank),
        "from_all": from_all(rank),
        "stopped": broken(Stopped()),
        "failed": broken(RewardError("The judge cannot be asked.")),
        "afterwards": by_first(lambda: rank),
    }), flush=True)
"""


@pytest.fixture(scope="module")
def said() -> list[dict[str, object]]:
    """What each of two processes found, in their order."""
    place = {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TALK],
            cwd=PROJECT,
            env={**os.environ, **place, "RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    return [json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in processes]


def test_each_knows_its_place(said: list[dict[str, object]]) -> None:
    assert [(one["of"], one["first"]) for one in said] == [(2, True), (2, False)]


def test_the_first_decides_for_all(said: list[dict[str, object]]) -> None:
    assert [one["decided"] for one in said] == ["by 0", "by 0"]


def test_the_first_gets_what_each_holds(said: list[dict[str, object]]) -> None:
    assert [one["to_first"] for one in said] == [[0, 1], []]
    assert [one["from_all"] for one in said] == [[0, 1], [0, 1]]


def test_a_stop_that_the_first_finds_reaches_all(said: list[dict[str, object]]) -> None:
    assert [one["stopped"] for one in said] == ["Stopped", "Stopped"]


def test_an_error_of_the_first_ends_the_others_without_being_told_twice(said: list[dict[str, object]]) -> None:
    assert [one["failed"] for one in said] == ["RewardError", "FailedElsewhere"]
    assert [one["afterwards"] for one in said] == [0, 0], "they are still together"


def test_a_run_of_one_process_decides_for_itself() -> None:
    assert (agreement.count(), agreement.number(), agreement.is_first()) == (1, 0, True)
    assert (by_first(lambda: 5), to_first("a"), from_all("a")) == (5, ["a"], ["a"])


@pytest.mark.parametrize("error", [Stopped(), RewardError("The judge cannot be asked.")])
def test_alone_errors_are_raised_as_they_are(error: Exception) -> None:
    def act() -> None:
        raise error

    with pytest.raises(type(error)):
        by_first(act)
