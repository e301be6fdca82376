"""The reward as TRL gets it: what is recorded of a step is what TRL learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.config import RunConfig, with_changes
from core.engine.trainer import SharedPromptTrainer
from core.paths import Home, write_json
from core.reward.advantages import objective_advantages
from core.reward.formula import combine
from core.runs.completions import read_completions, step_file
from core.runs.events import latest_metrics, read_events
from core.train_config import Aggregation, Scaling
from core.training.control import weights_request
from tests.build_training import MIXED, after_step, trained, write_completions_of


@pytest.fixture
def learned_from(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The advantages of each step in TRL's trainer, in the order of its completions."""
    seen: list[list[float]] = []
    generate_and_score = SharedPromptTrainer._generate_and_score_completions

    def spy(self: Any, inputs: Any) -> Any:
        output = generate_and_score(self, inputs)
        seen.append(output["advantages"].tolist())
        return output

    monkeypatch.setattr(SharedPromptTrainer, "_generate_and_score_completions", spy)
    return seen


@pytest.mark.parametrize(
    ("aggregation", "scale"),
    [
        ("sum_then_normalize", "group"),
        ("sum_then_normalize", "batch"),
        ("sum_then_normalize", "none"),
        ("normalize_then_sum", "group"),
        ("normalize_then_sum", "none"),
    ],
)
def test_the_recorded_advantages_are_those_that_trl_learns_from(
    aggregation: Aggregation,
    scale: Scaling,
    home: Home,
    tiny_config: RunConfig,
    learned_from: list[list[float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_completions_of(monkeypatch, (*MIXED, *MIXED[::-1], MIXED[0], MIXED[0], MIXED[1], MIXED[3]))
    changes = {
        "train.steps": 3,
        "train.num_generations": 4,
        "train.held_out_rows": 0,
        "train.scale_rewards": scale,
        "train.multi_objective_aggregation": aggregation,
        "reward.weights": {"semantic": 0.6, "fluency": -0.2, "tags": 0.3},
    }
    run = trained(home, with_changes(tiny_config, changes))
    recorded = [[one.advantage for one in read_completions(step_file(run, step))] for step in (1, 2, 3)]
    assert np.abs(recorded).max() > 0.1
    np.testing.assert_allclose(recorded, learned_from, atol=2e-3)


def test_a_step_is_scored_once_for_all_its_objectives(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.reward.scoring import Scorer

    write_completions_of(monkeypatch, MIXED)
    asked: list[int] = []
    score = Scorer.score

    def counted(self: Scorer, samples: Any, *arguments: Any) -> Any:
        asked.append(len(samples))
        return score(self, samples, *arguments)

    monkeypatch.setattr(Scorer, "score", counted)
    changes = {
        "train.steps": 2,
        "train.held_out_rows": 0,
        "train.multi_objective_aggregation": "normalize_then_sum",
    }
    run = trained(home, with_changes(tiny_config, changes))
    assert asked == [4, 4]
    effective = latest_metrics(read_events(run.events))[0].effective
    assert set(effective) == {"semantic", "fluency", "tags", "validity"}
    assert sum(effective.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("aggregation", ["sum_then_normalize", "normalize_then_sum"])
def test_other_weights_hold_from_the_next_step_on_and_for_the_whole_of_it(
    aggregation: Aggregation,
    home: Home,
    tiny_config: RunConfig,
    learned_from: list[list[float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_completions_of(monkeypatch, MIXED)
    changes = {
        "train.steps": 3,
        "train.num_generations": 4,
        "train.held_out_rows": 0,
        "train.multi_objective_aggregation": aggregation,
        "reward.weights": {"semantic": 0.7, "tags": 0.1},
    }
    wanted = {"semantic": 0.1, "tags": -0.8}
    after_step(monkeypatch, 2, lambda run: write_json(weights_request(run), wanted))
    run = trained(home, with_changes(tiny_config, changes))
    for step, weights in ((1, (0.7, 0.0, 0.1)), (2, (0.7, 0.0, 0.1)), (3, (0.1, 0.0, -0.8))):
        kept = read_completions(step_file(run, step))
        components, valid = np.array([list(one.components.values()) for one in kept]), np.array([c.valid for c in kept])
        groups = [one.group for one in kept]
        assert [one.reward for one in kept] == pytest.approx(combine(components, weights, valid).tolist())
        expected = objective_advantages(components, weights, valid, -1.0, groups, "group", aggregation)
        np.testing.assert_allclose(learned_from[step - 1], expected, atol=2e-3)
    events = [event for event in read_events(run.events) if event.kind == "weights"]
    assert [(event.step, event.data["by"]) for event in events] == [(0, "start"), (3, "user")]
    assert events[1].data["weights"] == wanted


def test_weights_that_cannot_be_used_are_told_and_left_alone(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_step(monkeypatch, 1, lambda run: write_json(weights_request(run), {"no such thing": 1.0}))
    run = trained(home, with_changes(tiny_config, {"train.steps": 3, "train.held_out_rows": 0}))
    events = read_events(run.events)
    assert [event.step for event in events if event.kind == "weights"] == [0]
    told = [
        event.data["message"] for event in events if event.kind == "alert" and "weights asked" in event.data["message"]
    ]
    assert len(told) == 1 and "there is no component 'no such thing'" in told[0]
