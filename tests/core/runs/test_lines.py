"""What lists say of a run, what a search finds, and the numbers that runs are compared by."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.config import with_changes
from core.paths import Home, write_json
from core.presets import preset_config
from core.runs.completions import held_out
from core.runs.labels import change_label, label_file
from core.runs.lines import RunLine, Search, all_tags, line_of, present_lines
from core.runs.results import results_of
from core.runs.run import Run, create_run
from core.runs.stamps import Stamp, stamp_of
from core.training.best import Best, keep_best
from core.training.curves import CurveWriter, metrics_of
from tests.build_runs import Plan, add_step, build_run


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.fixture
def line(home: Home) -> RunLine:
    run = build_run(home, Plan("finished", done=12, steps=12))
    change_label(run, title="Warfarin, second try", add=["Ward 7", "best"])
    return line_of(run)


def test_a_long_run_is_told_by_its_first_and_last_ten_steps(home: Home) -> None:
    run = build_run(home, Plan("finished"))
    rewards = [metrics.reward for metrics in metrics_of(run)]
    line = line_of(run)
    assert line.first == pytest.approx(mean(rewards[:10]))
    assert line.last == pytest.approx(mean(rewards[-10:]))


def test_a_short_run_is_told_by_its_halves_and_one_without_steps_by_nothing(home: Home) -> None:
    run = build_run(home, Plan("running", done=3))
    rewards = [metrics.reward for metrics in metrics_of(run)]
    assert (line_of(run).first, line_of(run).last) == (pytest.approx(rewards[0]), pytest.approx(rewards[2]))
    empty = line_of(create_run(home, preset_config("demo")))
    assert (empty.first, empty.last, empty.best) == (None, None, None)


def test_the_name_of_a_run_is_its_title_until_somebody_writes_another(home: Home) -> None:
    run = create_run(home, with_changes(preset_config("demo"), {"name": "as started"}))
    assert line_of(run).title == "as started"
    change_label(run, title="as written")
    assert line_of(run).title == "as written"


def test_a_run_whose_files_are_damaged_is_listed_all_the_same(home: Home) -> None:
    run = build_run(home, Plan("finished", done=3, steps=3))
    run.config_file.write_text("{")
    label_file(run).write_text("{")
    line = line_of(run)
    assert (line.config, line.title, line.model, line.status.state) == (None, "", "", "finished")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), True),
        (Search("warfarin SECOND"), True),
        (Search("ward robust smollm2"), True),
        (Search("sample"), True),
        (Search("warf try"), True),
        (Search("ward 8"), False),
        (Search("farin"), False),
        (Search("warfarin heparin"), False),
        (Search("(["), False),
        (Search(states=["finished", "running"]), True),
        (Search(states=["failed"]), False),
        (Search(tags=["best", "Ward 7"]), True),
        (Search(tags=["best", "worst"]), False),
        (Search("warfarin", states=["failed"]), False),
    ],
)
def test_a_search_finds_what_has_all_that_is_asked_for(search: Search, found: bool, line: RunLine) -> None:
    assert search.finds(line) is found


def test_an_archived_run_is_found_only_when_it_is_asked_for(line: RunLine) -> None:
    change_label(line.run, archived=True)
    archived = line_of(line.run)
    assert not Search("warfarin").finds(archived)
    assert Search("warfarin", archived=True).finds(archived)


def test_tags_are_listed_once_whatever_their_case(line: RunLine, home: Home) -> None:
    other = create_run(home, preset_config("demo"))
    change_label(other, add=["ant", "best"])
    assert all_tags([line, line_of(other)]) == ["ant", "best", "Ward 7"]


def settled_stamp(run: Run) -> Stamp:
    """The stamp of a run that nothing has changed for years."""
    for folder in (run.folder, run.curves):
        os.utime(folder, (1e9, 1e9))
    return stamp_of(run, run.curves)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: add_step(run, 4),
        lambda run: change_label(run, title="new"),
        lambda run: keep_best(run, Best(3, 0.5, 1.0), lambda folder: None),
        lambda run: run.write_status(replace(run.written_status(), state="finished")),
        lambda run: (shutil.rmtree(run.curves), CurveWriter(run.curves, ["another"])),
    ],
    ids=["a step", "the label", "the best adapter", "the state", "other components"],
)
def test_the_stamp_of_a_run_changes_with_everything_its_line_tells(home: Home, change: Callable[[Run], object]) -> None:
    run = build_run(home, Plan("running", done=3))
    former = settled_stamp(run)
    assert stamp_of(run, run.curves) == former
    change(run)
    assert stamp_of(run, run.curves) != former


def test_a_line_is_read_again_when_something_has_changed(home: Home) -> None:
    run = build_run(home, Plan(done=3))
    settled_stamp(run)
    (first,) = present_lines([run])
    assert present_lines([run])[0] is first
    change_label(run, title="new")
    assert present_lines([run])[0].title == "new"


@pytest.mark.parametrize("file", ["config.json", "label.json"])
def test_a_damaged_run_that_somebody_corrects_by_hand_is_listed_as_it_is_then(home: Home, file: str) -> None:
    run = build_run(home, Plan(done=3))
    change_label(run, title="mine")
    path = run.folder / file
    whole = path.read_text(encoding="utf-8")
    path.write_text("{", encoding="utf-8")
    settled_stamp(run)
    assert present_lines([run])[0].title != "mine"
    path.write_text(whole, encoding="utf-8")  # in place, as an editor may: the folder stays as old as it was
    assert stamp_of(run, run.curves) == settled_stamp(run)
    assert present_lines([run])[0].title == "mine"


def test_what_has_just_changed_has_a_stamp_that_never_comes_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runs.stamps._SETTLED_NS", 10**12)  # a machine that has much to do lets moments pass
    run = build_run(home, Plan("running", done=3))
    change_label(run, title="new")
    assert stamp_of(run) != stamp_of(run)


def test_results_are_those_of_the_last_steps_the_best_validation_and_the_held_out_questions(home: Home) -> None:
    run = build_run(home, Plan("finished"))
    keep_best(run, Best(20, 0.5, 1.0), lambda folder: None)
    found, metrics, answers = results_of(run), metrics_of(run), held_out(run)
    assert found.reward == pytest.approx(mean([m.reward for m in metrics[-10:]]))
    assert (found.validation, found.validation_step) == (0.5, 20)
    assert found.held_out_before == pytest.approx(mean([answer.before.reward for answer in answers]))
    assert found.held_out_after == pytest.approx(mean([answer.after.reward for answer in answers if answer.after]))
    assert found.tokens == pytest.approx(mean([m.completion_tokens for m in metrics]) * 36 * 16)
    assert found.seconds == run.status().trained_seconds


def test_a_run_that_has_just_begun_has_results_that_are_not_known(home: Home) -> None:
    found = results_of(create_run(home, preset_config("demo")))
    assert (found.steps, found.reward, found.validation, found.held_out_after, found.tokens) == (
        0,
        None,
        None,
        None,
        None,
    )


def test_a_line_of_a_run_with_a_prepared_data_set_shows_its_name(home: Home) -> None:
    run: Run = create_run(home, preset_config("demo"))
    values = run.config().model_dump(mode="json")
    write_json(run.config_file, values | {"model": "org/large-model", "data": {"path": "prepared:ward-7"}})
    assert (line_of(run).model, line_of(run).data) == ("large-model", "ward-7")
