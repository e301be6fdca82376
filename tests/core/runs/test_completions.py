"""What changed on the held-out questions, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.config import with_changes
from core.paths import Home, write_json
from core.runs.completions import Completion, HeldOut, kept_steps, step_file, summarise
from tests.build_runs import Plan, build_run

BEFORE = Completion(
    step=0,
    group="1",
    question="Why?",
    reference="Because.",
    completion="text",
    reward=0.25,
    advantage=0.0,
    valid=True,
    well_formed=False,
    components={"judge": 0.5, "tags": 0.0},
)
AFTER = replace(BEFORE, step=4, reward=0.75, well_formed=True, components={"judge": 1.0, "tags": 1.0})


def silent(completion: Completion) -> Completion:
    return replace(completion, components={**completion.components, "judge": math.nan})


def held_out(*pairs: tuple[Completion, Completion | None]) -> list[HeldOut]:
    return [HeldOut("Why?", "Because.", before, after) for before, after in pairs]


def test_every_measure_is_compared() -> None:
    assert summarise(held_out((BEFORE, AFTER), (BEFORE, BEFORE))) == [
        "2 held-out questions, before and after training:",
        "  mean reward: 0.25 -> 0.50",
        "  well-formed: 0.00 -> 0.50",
        "  judge: 0.50 -> 0.75",
        "  tags: 0.00 -> 0.50",
    ]


def test_a_component_counts_where_it_had_an_opinion_both_times() -> None:
    pairs = [(BEFORE, AFTER), (silent(BEFORE), AFTER), (BEFORE, silent(AFTER))]
    assert "  judge: 0.50 -> 1.00 (on 1 of them)" in summarise(held_out(*pairs))


def test_a_component_without_an_opinion_is_said_to_have_none() -> None:
    assert "  judge: no opinion" in summarise(held_out((silent(BEFORE), AFTER)))


def test_nothing_is_said_before_the_run_has_finished() -> None:
    assert summarise(held_out((BEFORE, None))) == []


@pytest.mark.parametrize(
    ("removed", "steps"),
    [((), range(1, 13)), ((12,), range(1, 12)), ((1, 2, 3), range(4, 13)), (range(1, 13), range(1, 1))],
)
def test_the_steps_whose_completions_are_kept_are_found(home: Home, removed: tuple[int, ...], steps: range) -> None:
    run = build_run(home, Plan(done=12))
    for step in removed:
        step_file(run, step).unlink()
    assert list(kept_steps(run)) == list(steps)


@pytest.mark.parametrize(("removed", "steps"), [((), range(1, 13, 3)), ((10,), range(1, 10, 3)), ((1, 4), (7, 10))])
def test_steps_that_learn_again_from_the_same_completions_keep_none(
    home: Home, removed: tuple[int, ...], steps: Sequence[int]
) -> None:
    run = build_run(home, Plan(done=12))
    write_json(run.config_file, with_changes(run.config(), {"train.num_iterations": 3}).model_dump(mode="json"))
    for step in (*removed, *(step for step in range(1, 13) if step % 3 != 1)):
        step_file(run, step).unlink()
    assert list(kept_steps(run)) == list(steps)


def test_completions_that_a_resumed_run_has_left_behind_do_not_count(home: Home) -> None:
    run = build_run(home, Plan("running", done=12))
    run.write_status(replace(run.written_status(), step=10))
    assert kept_steps(run)[-1] == 10
