"""The answers of a step on the page of a run: which step and question, how they rank, how they moved."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pandas as pd
from streamlit.testing.v1 import AppTest

from core.engine.reporting import write_completions
from core.paths import Home
from core.reward.scoring import Sample, Scores
from core.runs.completions import read_completions, step_file
from core.runs.run import Run
from studio.microscope import groups_at
from tests.build_runs import HOSTILE, Plan, add_step, build_run

Open = Callable[..., AppTest]


def answers(at: AppTest) -> pd.DataFrame:
    """The table of the group's completions."""
    return next(frame.value for frame in at.dataframe if "Advantage" in frame.value.columns)


def others(at: AppTest) -> pd.DataFrame:
    """The table of the completions of the step beside it."""
    return next(frame.value for frame in at.dataframe if list(frame.value.columns) == ["Completion", "Reward"])


def choose_step(at: AppTest, step: int) -> AppTest:
    at.toggle(key="microscope.newest").set_value(False).run()
    return at.number_input(key="microscope.step").set_value(step).run()


def two_prompts(run: Run, step: int) -> None:
    """Write a step of two questions of two answers each."""
    found = read_completions(step_file(run, step))[:4]
    samples = [
        Sample(f"Question {row}?", "A reference.", completion.completion, str(row))
        for row, completion in zip((7, 7, 8, 8), found, strict=True)
    ]
    rewards = pd.Series([0.1, 0.9, 0.5, 0.4]).to_numpy()
    names = run.config().reward.components
    components = pd.DataFrame(dict.fromkeys(names, rewards)).to_numpy()
    scores = Scores(names, components, rewards > 0, rewards > 0, rewards, rewards - 0.5, None, ())
    write_completions(step_file(run, step), step, samples, scores)


def test_the_newest_step_is_shown_ranked_with_its_ends_side_by_side(train: Open, home: Home) -> None:
    at = train(build_run(home, Plan(done=12)).id)
    frame = answers(at)
    assert not at.exception
    assert frame["Reward"].is_monotonic_decreasing
    assert {"Similarity", "Fluency", "Tags", "Advantage", "Tokens"} <= set(frame.columns)
    ends = [text.value for text in at.markdown if text.value.startswith(("**Best**", "**Worst**"))]
    assert ends[0].startswith(f"**Best**: reward {frame['Reward'].iloc[0]:.2f}") and "tokens" in ends[0]
    assert ends[1].startswith(f"**Worst**: reward {frame['Reward'].iloc[-1]:.2f}")


def test_any_step_can_be_looked_at(train: Open, home: Home) -> None:
    run = build_run(home, Plan(done=12))
    at = choose_step(train(run.id), 3)
    wanted = sorted((c.reward for c in read_completions(step_file(run, 3))), reverse=True)
    assert answers(at)["Reward"].tolist() == wanted
    assert any(caption.value.startswith("Step 3: 8 answers") for caption in at.caption)


def test_a_chosen_step_stays_while_the_run_goes_on(train: Open, home: Home) -> None:
    run = build_run(home, Plan("running", done=5))
    at = choose_step(train(run.id), 2)
    add_step(run, 6)
    at.run()
    assert at.number_input(key="microscope.step").value == 2
    at.toggle(key="microscope.newest").set_value(True).run()
    assert any(caption.value.startswith("Step 6: 8 answers") for caption in at.caption)


def test_a_step_of_two_questions_shows_one_group_at_a_time(train: Open, home: Home) -> None:
    run = build_run(home, Plan(done=3))
    two_prompts(run, 3)
    at = train(run.id)
    assert answers(at)["Reward"].tolist() == [0.9, 0.1]
    at.selectbox(key="microscope.prompt").select_index(1).run()
    assert answers(at)["Reward"].tolist() == [0.5, 0.4]
    assert not at.exception


def test_groups_keep_the_order_of_the_step(home: Home) -> None:
    run = build_run(home, Plan(done=3))
    two_prompts(run, 2)
    assert [(group.row, group.rewards) for group in groups_at(run, 2)] == [("7", [0.9, 0.1]), ("8", [0.5, 0.4])]


def test_how_the_answers_to_a_question_moved_is_shown_beside_another_step(train: Open, home: Home) -> None:
    run = build_run(home, Plan(done=12, rows=4))
    at = train(run.id)
    other = at.selectbox(key="microscope.other")
    assert other.options == ["4", "8"]  # row 4 came at steps 4, 8 and 12
    other.set_value(8).run()
    wanted = [c.reward for c in groups_at(run, 8)[0].completions]
    assert others(at)["Reward"].tolist() == wanted
    assert any("at the 3 steps at which it came" in caption.value for caption in at.caption)


def test_a_question_that_came_once_says_so(train: Open, home: Home) -> None:
    at = train(build_run(home, Plan(done=3)).id)
    assert any("has come at no other step yet" in caption.value for caption in at.caption)


def test_a_run_without_completions_says_so(train: Open, home: Home) -> None:
    run = build_run(home, Plan(done=3))
    for file in run.completions.glob("step-*.parquet"):
        file.unlink()
    at = train(run.id)
    assert not at.exception
    assert any("first group of completions appears" in caption.value for caption in at.caption)


def test_a_step_whose_completions_are_lost_says_so(train: Open, home: Home) -> None:
    run = build_run(home, Plan(done=6))
    step_file(run, 4).unlink()
    at = choose_step(train(run.id), 4)
    assert not at.exception
    assert any("completions of step 4 are not there" in caption.value for caption in at.caption)


def test_a_run_of_an_earlier_version_has_no_lengths_and_no_history_while_it_is_live(train: Open, home: Home) -> None:
    run = build_run(home, Plan("running", done=3, rows=1))
    shutil.rmtree(run.curves)
    for step in (1, 2, 3):
        pd.read_parquet(step_file(run, step)).drop(columns="tokens").to_parquet(step_file(run, step))
    at = train(run.id)
    assert not at.exception
    assert "Tokens" not in answers(at).columns
    assert any("has come at no other step yet" in caption.value for caption in at.caption)


def test_hostile_questions_and_answers_are_only_text(train: Open, home: Home) -> None:
    at = train(build_run(home, Plan(done=12, rows=4, good=HOSTILE, bad=HOSTILE, question=HOSTILE)).id)
    assert not at.exception
    rendered = [*at.markdown, *at.caption, *at.warning, *at.error]
    assert not [element.value for element in rendered if "evil.example" in element.value]
