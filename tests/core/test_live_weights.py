"""The reward weights in force while a run is changed, broken off and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from core.config import RunConfig
from core.engine.live_weights import LiveWeights
from core.engine.reporting import Reporter
from core.paths import Home, write_json
from core.runs.run import Run, create_run
from core.training.control import weights_request, with_weights

ALONE = {name: {"semantic": 0.0, "fluency": 0.0, "tags": 0.0, name: 1.0} for name in ("semantic", "fluency", "tags")}


class Job:
    """One process of a run: scores steps and records which weights were in force at each."""

    def __init__(self, run: Run, config: RunConfig, step: int) -> None:
        self._run, self._config = run, config
        self.reporter = Reporter(run)
        self.reporter.begin(step)
        scorer: Any = SimpleNamespace(weigh=lambda weights: None)
        self._weights = LiveWeights(run, config, scorer, self.reporter)
        self._step = step

    def until(self, step: int) -> list[str]:
        """The component that counted alone at each step; empty for the weights that the run started with."""
        found = []
        for at in range(self._step + 1, step + 1):
            self._weights.before_scoring(at)
            now = self._weights._now
            found.append(next((name for name in ALONE if full(self._config, name) == now), ""))
        self._step = step
        return found


def full(config: RunConfig, name: str) -> dict[str, float]:
    return dict(with_weights(config, ALONE[name]).reward.weights)


@pytest.fixture
def run(home: Home, tiny_config: RunConfig) -> Run:
    return create_run(home, tiny_config)


@pytest.fixture
def broken(run: Run, tiny_config: RunConfig) -> Iterator[Run]:
    """A run that weighed tags alone from step 3 on, fluency alone from step 5 on, and broke off after step 6."""
    job = Job(run, tiny_config, 0)
    found = job.until(2)
    for name, step in (("tags", 4), ("fluency", 6)):
        write_json(weights_request(run), ALONE[name])
        found += job.until(step)
    job.reporter.close()
    assert found == ["", "", "tags", "tags", "fluency", "fluency"]
    yield run


def resumed(run: Run, step: int, last: int) -> list[str]:
    job = Job(run, run.config(), step)
    found = job.until(last)
    job.reporter.close()
    return found


def test_a_resumed_run_changes_its_weights_at_the_steps_at_which_it_had(broken: Run) -> None:
    assert resumed(broken, 1, 7) == ["", "tags", "tags", "fluency", "fluency", "fluency"]
    assert resumed(broken, 4, 6) == ["fluency", "fluency"]


def test_so_does_one_that_breaks_off_again_before_the_last_change(broken: Run) -> None:
    assert resumed(broken, 1, 3) == ["", "tags"]
    assert resumed(broken, 2, 6) == ["tags", "tags", "fluency", "fluency"]


def test_weights_that_are_asked_for_anew_hold_at_once_and_for_good(broken: Run) -> None:
    job = Job(broken, broken.config(), 1)
    assert job.until(2) == [""]
    write_json(weights_request(broken), ALONE["semantic"])
    assert job.until(6) == ["semantic"] * 4
    job.reporter.close()
    assert resumed(broken, 1, 6) == ["", "semantic", "semantic", "semantic", "semantic"]


def test_weights_that_nobody_had_scored_with_yet_hold_from_the_first_step(run: Run) -> None:
    write_json(weights_request(run), ALONE["tags"])
    assert resumed(run, 2, 4) == ["tags", "tags"]


def test_weights_that_cannot_be_used_are_told_once_and_change_nothing(run: Run) -> None:
    write_json(weights_request(run), {"no such component": 1.0})
    assert resumed(run, 0, 3) == ["", "", ""]
    assert run.events.read_text(encoding="utf-8").count("The weights asked for are not used.") == 1
