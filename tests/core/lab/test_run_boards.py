"""A run's completions as boards."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.engine.reporting import write_completions
from core.errors import DataError, RunError
from core.lab.board import column
from core.lab.boards import load_board, resolved
from core.paths import Home
from core.reward.formula import PRESETS
from core.reward.scoring import Sample
from core.runs.completions import read_completions, step_file
from tests.build_boards import BAD, GOOD
from tests.build_runs import Plan, build_run
from tests.build_scorers import arithmetic_scorer


def test_a_runs_completions_bring_their_scores(home: Home) -> None:
    run = build_run(home, Plan(done=3))
    board = load_board(home, f"run:{run.id}:2")
    logged = read_completions(step_file(run, 2))
    config = run.config().reward
    assert board.missing(config) == ()
    assert board.measures[column("semantic", config)].tolist() == [item.components["semantic"] for item in logged]
    assert board.valid.tolist() == [item.valid for item in logged]


def test_a_run_of_one_preset_can_be_looked_at_under_another(home: Home) -> None:
    run = build_run(home, Plan(done=1, preset="article"))
    board = load_board(home, f"run:{run.id}:1")
    assert [board.missing(PRESETS[preset]) for preset in ("robust", "notebook")] == [(), ()]


@pytest.mark.parametrize(("step", "message"), [("99", "steps 1 to 3"), ("x", "steps 1 to 3"), ("", "steps 1 to 3")])
def test_a_step_without_completions_is_said(step: str, message: str, home: Home) -> None:
    run = build_run(home, Plan(done=3))
    with pytest.raises(DataError, match=message):
        load_board(home, f"run:{run.id}:{step}")


def test_a_run_that_is_not_there_is_said(home: Home) -> None:
    with pytest.raises(RunError, match="There is no run"):
        load_board(home, "run:nothing:1")


def test_the_last_run_is_called_by_its_own_name(home: Home) -> None:
    run = build_run(home, Plan(done=1))
    assert resolved(home, "run:last:01") == f"run:{run.id}:1"
    assert resolved(home, "mine") == "mine"
    with pytest.raises(RunError):
        resolved(home, "run:nothing:1")


def test_prompts_and_carried_columns_come_with_the_completions(home: Home, tmp_path: Path) -> None:
    run = build_run(home, Plan(done=1))
    samples = [Sample("Q?", "give it", GOOD, "b", "Be brief.\nQ?", {"ward": "A"}), Sample("P?", "give it", BAD, "a")]
    scorer = arithmetic_scorer(run.config().reward, tmp_path)
    write_completions(step_file(run, 1), 1, samples, scorer.score(samples))
    assert load_board(home, f"run:{run.id}:1").samples == tuple(samples)


def test_completions_of_older_runs_have_neither(home: Home) -> None:
    run = build_run(home, Plan(done=1))
    table = pq.read_table(step_file(run, 1)).drop_columns(["prompt", "columns"])
    pq.write_table(table, step_file(run, 1))
    board = load_board(home, f"run:{run.id}:1")
    assert {(one.prompt, len(one.columns)) for one in board.samples} == {("", 0)}
