"""The verbs that keep runs in order."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.commands.cli import main
from core.paths import Home
from core.runs.labels import read_label
from core.runs.run import Run, find_run, list_runs
from tests.build_runs import Plan, build_run

VERBS = ("tag", "archive", "unarchive", "delete", "export-run", "import-run", "compare")
Ask = Callable[..., Any]


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def runs(home: Home) -> list[Run]:
    return [build_run(home, Plan("finished", done=4, steps=4, seed=seed)) for seed in (1, 2)]


@pytest.fixture
def ask(home: Home, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs a verb that has to succeed, and returns its JSON."""

    def answer(*arguments: str) -> Any:
        assert main([*arguments, "--json", "--home", str(home.root)]) == 0
        return json.loads(capsys.readouterr().out)

    return answer


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert "--home DIR" in capsys.readouterr().out


def test_tagged_runs_are_found_and_archived_ones_only_when_asked_for(ask: Ask, runs: list[Run]) -> None:
    one, two = runs
    assert ask("tag", one.id, "ward 7", "best", "--title", "Warfarin")["tags"] == ["ward 7", "best"]
    assert ask("tag", one.id, "--remove", "best")["tags"] == ["ward 7"]
    assert [row["run"] for row in ask("runs", "--tag", "ward 7")] == [one.id]
    assert [row["run"] for row in ask("runs", "--search", "WARFARIN")] == [one.id]
    assert ask("archive", one.id)["archived"] is True
    assert [row["run"] for row in ask("runs")] == [two.id]
    assert {row["run"] for row in ask("runs", "--archived")} == {one.id, two.id}
    ask("unarchive", one.id)
    assert len(ask("runs")) == 2


def test_a_run_is_deleted_only_when_somebody_says_so(
    home: Home, runs: list[Run], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["delete", runs[0].id, "--home", str(home.root)]
    assert main(command) == 2
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert main(command) == 2
    assert len(list_runs(home)) == 2
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert main(command) == 0
    assert list_runs(home) == [runs[1]]


def test_a_live_run_is_not_deleted_with_yes_either(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    live = build_run(home, Plan("running", done=2))
    assert main(["delete", live.id, "--yes", "--home", str(home.root)]) == 2
    assert "Stop it first" in capsys.readouterr().err
    assert list_runs(home) == [live]


def test_an_exported_run_comes_back_after_it_was_deleted(ask: Ask, home: Home, runs: list[Run], tmp_path: Path) -> None:
    file = tmp_path / "kept.zip"
    ask("tag", runs[0].id, "ward 7")
    assert ask("export-run", runs[0].id, "--to", str(file), "--checkpoints")["file"] == str(file)
    assert ask("delete", runs[0].id, "--yes")["deleted"] == runs[0].id
    assert ask("import-run", str(file)) == {"run": runs[0].id, "notes": []}
    assert read_label(find_run(home, runs[0].id)).tags == ("ward 7",)


def test_an_export_without_a_name_goes_to_the_home(ask: Ask, home: Home, runs: list[Run]) -> None:
    assert ask("export-run", runs[0].id)["file"] == str(home.root / "exports" / f"{runs[0].id}-1.zip")


def test_a_comparison_shows_results_and_only_the_settings_that_differ(ask: Ask, runs: list[Run]) -> None:
    found = ask("compare", runs[0].id, runs[1].id)
    assert [row["run"] for row in found["runs"]] == [run.id for run in runs]
    assert [(row["path"], row["values"]) for row in found["differences"]] == [("train.seed", ["1", "2"])]


def test_a_comparison_is_printed_with_a_line_for_each_run(
    home: Home, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", runs[0].id, runs[1].id, "--home", str(home.root)]) == 0
    shown = capsys.readouterr().out
    assert [shown.count(f"{run.id} ") for run in runs] == [2, 2]
    assert "held-out" in shown and "seed" in shown.lower()


def test_one_run_cannot_be_compared_with_itself(
    home: Home, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", runs[0].id, runs[0].id, "--home", str(home.root)]) == 2
    assert "two runs or more" in capsys.readouterr().err
