"""`python -m core preflight`: the same figures and advice as the page, and an exit code that scripts can read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core.commands.cli import main
from core.config import RunConfig, with_changes
from core.paths import Home
from core.presets import preset_config
from core.training import preflight_task
from core.training.preflight import PreflightResult
from tests.build_preflights import built, measured

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Mapping[str, Any]]]:
    """What the command line asks of its task; the task answers with the figures of a healthy run."""
    return answering(monkeypatch, built(preset_config("demo")))


def answering(monkeypatch: pytest.MonkeyPatch, result: PreflightResult) -> list[tuple[str, Mapping[str, Any]]]:
    asked: list[tuple[str, Mapping[str, Any]]] = []

    def finish(home: Home, kind: str, arguments: Mapping[str, Any]) -> Any:
        asked.append((kind, arguments))
        return result.model_dump(mode="json")

    monkeypatch.setattr("core.commands.preflight.finish_task", finish)
    monkeypatch.setattr(preflight_task, "refuse", lambda home, config: None)
    return asked


def test_a_go_is_said_with_the_figures_and_exits_with_0(
    answers: list[tuple[str, Mapping[str, Any]]], capsys: Capture
) -> None:
    assert main(["preflight", "--preset", "demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("One step") and line.endswith("8.0 s") for line in lines)
    assert lines[-1].startswith("Go: about ")


def test_a_no_go_exits_with_2_and_says_why_and_what_to_change(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    answering(monkeypatch, built(preset_config("demo"), measured(zero_variance=1.0)))
    assert main(["preflight"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("Not yet: in 8 of 8 groups all completions earn the same")
    assert "16 completions per group: --set train.num_generations=16" in said.out


def test_json_has_the_verdict_the_findings_and_the_figures_also_for_a_no_go(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    result = built(preset_config("demo"), None, failure="memory", failure_detail="updating")
    answering(monkeypatch, result)
    assert main(["preflight", "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdict"]["go"] is False
    assert answer["findings"][0]["name"] == "memory"
    assert PreflightResult.model_validate(answer["result"]) == result


def test_the_run_of_a_file_is_tried_with_what_is_set(
    answers: list[tuple[str, Mapping[str, Any]]], tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(with_changes(preset_config("short"), {"train.seed": 7}).model_dump_json())
    assert main(["preflight", "--config", str(file), "--set", "train.temperature=0.7"]) == 0
    kind, arguments = answers[0]
    asked = RunConfig.model_validate(arguments["config"])
    assert (kind, asked.train.seed, asked.train.temperature) == ("preflight", 7, 0.7)


def test_a_printed_mend_can_be_pasted_into_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    asked = answering(monkeypatch, built(preset_config("demo"), measured(opened=0.0)))
    bare = ["preflight", "--set", "prompt.examples=[]"]
    assert main(bare) == 2
    line = next(line for line in capsys.readouterr().out.splitlines() if "Show worked examples" in line)
    main([*bare, *shlex.split(line.partition(": ")[2])])
    assert len(asked[-1][1]["config"]["prompt"]["examples"]) == 2
