"""The coach's findings on run directories: of any age, resumed, with other weights since a while."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from core.commands.cli import main
from core.paths import Home
from core.runs.events import Event, EventWriter, Validation
from core.runs.run import Run
from core.training.coach_reader import Milestones, findings_of
from tests.build_recorded import build_recorded
from tests.recordings import RECORDINGS


def recorded(home: Home, name: str) -> Run:
    return build_recorded(home, RECORDINGS[name].config, RECORDINGS[name].metrics)


def names(run: Run) -> list[str]:
    return [finding.name for finding in findings_of(run)]


def add(run: Run, kind: str, step: int, data: Mapping[str, object]) -> None:
    writer = EventWriter(run.events)
    writer.write(kind, step, data)  # type: ignore[arg-type]
    writer.close()


def test_curves_and_milestones_are_enough(home: Home) -> None:
    run = recorded(home, "limit_16")
    run.events.unlink()
    assert names(run) == ["truncation"]


def test_a_run_of_an_earlier_version_is_judged_by_its_log(home: Home) -> None:
    run = recorded(home, "limit_16")
    run.milestones.unlink()
    for file in run.curves.rglob("*"):
        file.unlink()
    run.curves.rmdir()
    assert names(run) == ["truncation"]


def test_weights_that_the_user_changed_count_from_then_on(home: Home) -> None:
    run = recorded(home, "notebook")
    assert names(run) == ["dead_term"]
    add(run, "weights", 2, {"weights": {"semantic": 0.9, "fluency": 0.0, "tags": 0.1}, "by": "user"})
    assert "dead_term" not in names(run)


def test_a_change_of_weights_that_a_resume_left_behind_is_forgotten(home: Home) -> None:
    run = recorded(home, "notebook")
    add(run, "weights", 12, {"weights": {"semantic": 1.0}, "by": "user"})
    assert names(run) == []
    add(run, "state", 6, {"state": "running"})
    assert names(run) == ["dead_term"]


def test_validations_that_a_resume_left_behind_are_forgotten() -> None:
    data = Validation(0, 8, 0.5, 1.0, {"semantic": 0.5}, "validation.parquet").data()
    events = [Event(0.0, "validation", step, data) for step in (5, 10)]
    assert [v.step for v in Milestones(events).validations] == [5, 10]
    resumed = Event(0.0, "state", 5, {"state": "running"})
    assert [v.step for v in Milestones([*events, resumed]).validations] == [5]


def test_a_run_whose_settings_are_broken_is_passed_over(home: Home) -> None:
    run = recorded(home, "limit_16")
    run.config_file.write_text("{")
    assert findings_of(run) == []


def test_show_prints_what_the_coach_says(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded(home, "limit_16")
    assert main(["show", run.id, "--home", str(home.root)]) == 0
    printed = capsys.readouterr().out
    assert "is cut at 16 tokens before </answer>" in printed
    assert "train.max_completion_length = 32" in printed


def test_show_as_json_holds_findings_and_mends(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded(home, "limit_16")
    assert main(["show", run.id, "--json", "--home", str(home.root)]) == 0
    (finding,) = json.loads(capsys.readouterr().out)["coach"]
    assert (finding["name"], finding["level"]) == ("truncation", "stop")
    assert finding["mends"][0]["changes"] == {"train.max_completion_length": 32}
