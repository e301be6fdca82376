"""What the trainer's callback makes of a step: numbers, an end where there is nothing left to save, requests."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from transformers import TrainerControl, TrainerState

from core.config import RunConfig
from core.engine import group_reward
from core.engine.group_reward import GroupReward, ScoredStep
from core.engine.reporting import Reporter
from core.engine.run_callback import RunCallback
from core.engine.step_metrics import step_metrics
from core.errors import Diverged
from core.paths import Home
from core.reward.scoring import Sample
from core.runs.completions import step_file
from core.runs.events import latest_metrics, read_events
from core.runs.run import Run, create_run
from tests.build_scorers import arithmetic_scorer
from tests.build_training import GOOD, INVALID, SHORT

LOGS = {
    "loss": 0.1,
    "grad_norm": 0.3,
    "learning_rate": 1e-3,
    "entropy": 1.5,
    "kl": 0.02,
    "clip_ratio/low_mean": 0.01,
    "clip_ratio/high_mean": 0.03,
    "completions/mean_length": 5.0,
    "completions/min_length": 2.0,
    "completions/max_length": 8.0,
    "completions/clipped_ratio": 0.25,
    "completions/mean_terminated_length": 4.0,
}
SECONDS = {"generate_seconds": 2.0, "score_seconds": 0.5, "update_seconds": 1.0}


@pytest.fixture
def run(home: Home, tiny_config: RunConfig) -> Run:
    return create_run(home, tiny_config)


@pytest.fixture
def scored(run: Run, tiny_config: RunConfig) -> ScoredStep:
    """Two groups: one of a good, a short and an invalid completion, one of three that are the same."""
    texts = [GOOD, SHORT, INVALID, GOOD, GOOD, GOOD]
    samples = tuple(Sample("Why?", "Oxygen.", text, "ab"[row // 3]) for row, text in enumerate(texts))
    scorer = arithmetic_scorer(tiny_config.reward, run.folder)
    return ScoredStep(samples, scorer.score(samples))


def callback_for(run: Run, scored: ScoredStep, reporter: Reporter) -> RunCallback:
    reward = GroupReward(scorer=SimpleNamespace(), config=run.config())  # type: ignore[arg-type]
    reward.last = scored
    return RunCallback(reporter, reward, run.config())


def log(callback: RunCallback, step: int, logs: dict[str, Any]) -> TrainerState:
    state = TrainerState(global_step=step, log_history=[dict(logs)])
    callback.on_log(SimpleNamespace(), state, TrainerControl(), dict(logs))
    return state


def test_the_numbers_of_a_step_come_from_the_log_and_from_the_scores(scored: ScoredStep) -> None:
    found = step_metrics(3, LOGS, scored, SECONDS)
    assert (found.kl, found.clip_low, found.clip_high, found.entropy) == (0.02, 0.01, 0.03, 1.5)
    assert (found.shortest, found.completion_tokens, found.longest, found.ended_tokens) == (2, 5, 8, 4)
    assert (found.truncated, found.step_seconds) == (0.25, 3.5)
    rewards = scored.scores.rewards
    assert found.reward == pytest.approx(rewards.mean())
    assert found.reward_std == pytest.approx(rewards[:3].std(ddof=1) / 2)
    assert (found.zero_variance, found.valid) == (0.5, 5 / 6)
    assert found.host_bytes > 1e7


def test_what_the_log_does_not_know_is_no_number(scored: ScoredStep) -> None:
    found = step_metrics(3, {"loss": 0.1, "kl": None}, scored, SECONDS)
    assert all(map(math.isnan, (found.kl, found.clip_low, found.clip_high, found.ended_tokens, found.entropy)))


def test_no_completion_that_ended_by_itself_has_no_mean_length(scored: ScoredStep) -> None:
    logs = LOGS | {"completions/clipped_ratio": 1.0, "completions/mean_terminated_length": 0.0}
    assert math.isnan(step_metrics(3, logs, scored, SECONDS).ended_tokens)


def test_the_clip_ratio_of_cispo_is_one_from_above(scored: ScoredStep) -> None:
    logs = {name: value for name, value in LOGS.items() if not name.startswith("clip")} | {"cispo_clip_ratio": 0.07}
    found = step_metrics(3, logs, scored, SECONDS)
    assert found.clip_high == 0.07 and math.isnan(found.clip_low)


@pytest.mark.parametrize("broken", [{"loss": math.nan}, {"grad_norm": math.inf}, {"grad_norm": math.nan}])
def test_a_step_without_finite_numbers_is_recorded_and_ends_the_run(
    broken: dict[str, float], run: Run, scored: ScoredStep
) -> None:
    reporter = Reporter(run)
    with pytest.raises(Diverged, match=r"broke down at step 7.*lower learning rate \(train.learning_rate is 0.0"):
        log(callback_for(run, scored, reporter), 7, LOGS | broken)
    reporter.close()
    assert [metrics.step for metrics in latest_metrics(read_events(run.events))] == [7]


def test_a_step_that_learns_again_from_the_same_completions_keeps_them_once(run: Run, scored: ScoredStep) -> None:
    reporter = Reporter(run)
    callback = callback_for(run, scored, reporter)
    log(callback, 1, LOGS)
    log(callback, 2, {"loss": 0.2, "grad_norm": 0.1, "learning_rate": 1e-3})
    reporter.close()
    first, second = latest_metrics(read_events(run.events))
    assert (second.loss, second.completion_tokens) == (0.2, first.completion_tokens)
    assert step_file(run, 1).exists() and not step_file(run, 2).exists()


def test_the_trainer_keeps_no_log_that_grows_with_the_run(run: Run, scored: ScoredStep) -> None:
    reporter = Reporter(run)
    assert log(callback_for(run, scored, reporter), 1, LOGS).log_history == []
    reporter.close()


def test_the_summary_at_the_end_of_training_is_no_step(run: Run, scored: ScoredStep) -> None:
    reporter = Reporter(run)
    log(callback_for(run, scored, reporter), 4, {"train_runtime": 3.0, "train_loss": 0.1})
    reporter.close()
    assert latest_metrics(read_events(run.events)) == []


def test_the_log_of_a_step_is_written_into_the_curves(run: Run, scored: ScoredStep) -> None:
    from core.training.curves import CurveReader
    from core.training.groups import GroupReader

    scored = ScoredStep(
        tuple(Sample(s.question, s.reference, s.completion, str(7 + row // 3)) for row, s in enumerate(scored.samples)),
        scored.scores,
    )
    reporter = Reporter(run)
    reporter.begin(0)
    reporter.weights({"tags": 0.5}, "start", 0)
    callback = callback_for(run, scored, reporter)
    for step in (1, 2, 3):
        log(callback, step, LOGS)
    reporter.begin(2)
    log(callback, 3, LOGS | {"kl": 0.5})
    reporter.close()
    frame = CurveReader(run.curves).frame(1, 3, 10, ["kl", "weight tags"])
    assert frame["step"].tolist() == [1, 2, 3]
    assert frame["kl"].tolist() == [0.02, 0.02, 0.5]
    assert frame["weight tags"].tolist() == [0.5] * 3
    assert np.allclose(GroupReader(run.curves).of_row(7)["mean"], scored.scores.rewards[:3].mean())


def test_what_other_processes_note_of_their_scores_is_told_once(
    run: Run, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = arithmetic_scorer(tiny_config.reward, run.folder)
    samples = tuple(Sample("Why?", "Oxygen.", text, "a") for text in (GOOD, SHORT))
    mine, other = (ScoredStep(samples, quiet.score(samples), notes) for notes in ((), ("No verdict.",)))
    monkeypatch.setattr(group_reward, "to_first", lambda last: [last, other])
    reporter, reward = Reporter(run), GroupReward(quiet, tiny_config)
    callback = RunCallback(reporter, reward, tiny_config)
    for step in (1, 2):
        reward.last = ScoredStep(mine.samples, mine.scores)
        log(callback, step, LOGS)
    reporter.close()
    alerts = [event.data["message"] for event in read_events(run.events) if event.kind == "alert"]
    assert alerts == ["Training process 2: No verdict."]
