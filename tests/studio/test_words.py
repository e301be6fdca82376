"""The plain words beside the numbers."""

from __future__ import annotations

import pytest

from core.config import JudgeConfig
from core.jobs.folder import Status
from core.reward import verdicts
from core.reward.formula import PRESETS
from studio import words


def test_every_word_has_a_meaning_and_a_colour() -> None:
    assert len(words.WORD_COLOURS) == len(verdicts.MEANINGS)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (Status("running", phase="loading", updated=100.0), "loading the models, 12 s"),
        (
            Status("running", phase="generating", done=12, total=48, updated=111.0),
            "generating completions, 12 of 48 tokens",
        ),
        (Status("running", phase="scoring", updated=111.5), "scoring completions"),
        (Status("starting"), "starting"),
        (
            Status("running", phase="answering held-out questions", done=8, total=16),
            "answering held-out questions, 8 of 16 questions",
        ),
    ],
)
def test_busy_with(status: Status, text: str) -> None:
    assert words.busy_with(status, now=112.0) == text


def test_time_left_counts_down_between_steps() -> None:
    status = Status("running", eta_seconds=90.0)
    assert words.time_left(status, since_step=30.0) == "about 1 min 0 s left"
    assert words.time_left(status, since_step=500.0) == "about 1 s left"
    assert words.time_left(Status("running"), since_step=1.0) == ""


def test_progress_moves_inside_a_step_and_never_leaves_its_bounds() -> None:
    early = words.progress(Status("running", step=3, steps=10, phase="generating", done=1, total=48))
    late = words.progress(Status("running", step=3, steps=10, phase="generating", done=40, total=48))
    assert 0.3 < early < late < 0.4
    assert words.progress(Status("running", step=10, steps=10, phase="updating")) == 1.0
    assert words.progress(Status("failed")) == 0.0


def test_recent_shares_pass_over_steps_without_variance() -> None:
    from tests.build import metrics

    effective = {"semantic": 0.5, "fluency": 0.0, "tags": 0.2, "validity": 0.3}
    assert words.recent_shares([metrics(1, effective=effective), metrics(2, effective={})]) == effective
    assert words.recent_shares([metrics(1, effective={})]) is None


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({}, "Robust"),
        ({"weights": {**PRESETS["robust"].weights, "fluency": 0.0}}, "Robust, changed"),
        ({"parser": "lenient"}, "Robust, changed"),
        ({"judge": JudgeConfig()}, "Robust, changed"),
        ({"preset": "mine"}, "mine"),
    ],
)
def test_a_reward_that_is_not_the_preset_it_names_says_so(change: dict[str, object], title: str) -> None:
    assert words.reward_title(PRESETS["robust"].model_copy(update=change)) == title
