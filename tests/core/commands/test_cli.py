import json
import math
import shutil
from pathlib import Path

import pytest

from core.commands.cli import main
from core.config import RunConfig, with_changes
from core.jobs.folder import Status
from core.paths import Home
from core.presets import preset_config
from core.runs.events import EventWriter, latest_metrics, read_events
from core.runs.run import create_run, list_runs
from tests.build import metrics
from tests.build_runs import Plan, build_run

VERBS = ("doctor", "prepare", "train", "runs", "show", "score", "stress", "fit", "rewards")
CONTROL_VERBS = ("stop", "pause", "continue", "resume", "weights", "queue")
BOARD_VERBS = ("list", "add", "sample", "measure", "delete")


@pytest.mark.parametrize("verb", [*VERBS, *CONTROL_VERBS, *(f"boards {verb}" for verb in BOARD_VERBS)])
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*verb.split(), "--help"])
    assert ended.value.code == 0
    assert "--home DIR" in capsys.readouterr().out


def test_doctor_says_what_is_missing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--home", str(home.root)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cores"] >= 1
    assert found["models"] == {"smollm2-135m-instruct": False, "all-minilm-l6-v2": False}
    assert any("python -m core prepare" in line for line in found["advice"])
    assert found["gguf"].startswith("Quantised by")
    assert main(["doctor", "--home", str(home.root)]) == 0
    told = capsys.readouterr().out
    assert "not prepared" in told
    assert "GGUF         Quantised by" in told


def test_runs_and_show_read_what_a_job_has_written(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run = create_run(home, preset_config("demo"))
    run.write_status(Status(state="stopped", step=8, steps=24, trained_seconds=75.0))
    writer = EventWriter(run.events)
    for step in range(1, 9):
        writer.write("metrics", step, metrics(step, reward=step / 10).data())
    assert main(["runs", "--json", "--home", str(home.root)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["run"], row["state"], row["step"], row["reward"]) == (run.id, "stopped", 8, 0.8)
    assert main(["show", "last", "--home", str(home.root)]) == 0
    shown = capsys.readouterr().out
    assert "Stopped at step 8 of 24" in shown
    assert "mean reward: 0.15 in the first quarter of the steps, 0.75 in the last" in shown
    assert main(["show", run.id, "--json", "--home", str(home.root)]) == 0
    assert [m["reward"] for m in json.loads(capsys.readouterr().out)["metrics"]] == [s / 10 for s in range(1, 9)]


def test_train_follows_a_run_to_its_end(
    home: Home, tiny_config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(tiny_config.model_dump_json())
    assert main(["train", "--config", str(file), "--steps", "2", "--seed", "5", "--home", str(home.root)]) == 0
    printed = capsys.readouterr().out
    assert "step    2  reward" in printed
    assert "Finished, step 2 of 2." in printed
    (run,) = list_runs(home)
    assert (run.config().train.steps, run.config().train.seed) == (2, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nothing"], "There is no run 'nothing'"),
        (["stop", "../x"], "run is '../x'"),
        (["resume", "last"], "There are no runs yet"),
        (["train", "--steps", "0"], "train.steps is 0"),
        (["train", "--data", "/no/such/file.jsonl"], "python -m core prepare"),
        (["score", "/no/such/file.jsonl", "--preset", "article"], "There is no data file"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_and_exit_code_two(
    arguments: list[str], message: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--home", str(home.root)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_home_that_cannot_be_written_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--home", "/proc/studio"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"question": "Why?", "answer": "So."}', "has no column 'completion'"),
        ('{"question": "Why?", "answer": "So.", "completion": 3}', "must be text"),
        ('{"question": "", "answer": "So.", "completion": "x"}', "empty question or answer"),
        ('{"question": "Why?", "answer": "So.", "completion": "x"}\n{', "Line 2"),
    ],
)
def test_rows_that_cannot_be_scored_are_named(
    content: str, message: str, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(content)
    assert main(["score", str(file), "--preset", "article", "--home", str(home.root)]) == 2
    assert message in capsys.readouterr().err


def test_numbers_that_are_not_finite_are_null_in_json(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run = build_run(home, Plan(done=2))
    events = EventWriter(run.events)
    last = latest_metrics(read_events(run.events))[-1]
    unknown = {**last.data(), "grad_norm": math.nan, "components": {"semantic": math.nan}}
    events.write("metrics", 3, unknown)
    events.close()
    shutil.rmtree(run.curves, ignore_errors=True)  # they are then read from the log
    assert main(["show", run.id, "--json", "--home", str(home.root)]) == 0

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    said = json.loads(capsys.readouterr().out, parse_constant=refuse)["metrics"][-1]
    assert (said["step"], said["grad_norm"], said["components"]["semantic"]) == (3, None, None)


def test_a_config_that_was_written_by_a_run_starts_another(home: Home, tiny_config: RunConfig) -> None:
    config = with_changes(tiny_config, {"train.learning_rate": 0.0})
    run = create_run(home, config)
    assert run.config() == config
