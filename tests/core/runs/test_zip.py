"""Runs as zip files: whole, without secrets, never over another file, and safe to bring in."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import RunConfig, with_changes
from core.errors import RunError, StorageError
from core.jobs import supervisor, tasks
from core.jobs.tasks import Progress, TaskStopped, create_task
from core.paths import Home
from core.runs import export as run_export
from core.runs import importing as run_import
from core.runs.completions import read_completions, step_file
from core.runs.events import read_events
from core.runs.export import export_run, export_task, exports_folder
from core.runs.importing import import_run
from core.runs.labels import change_label, read_label
from core.runs.run import Run, create_run, list_runs
from core.training.curves import metrics_of
from tests.build_runs import Plan, build_run


@pytest.fixture
def run(home: Home) -> Run:
    """A finished run of 12 steps with a label, an adapter and a custom reward's text."""
    made = build_run(home, Plan("finished", done=12, steps=12))
    change_label(made, title="Warfarin", add=["ward 7"])
    made.adapter.mkdir()
    (made.adapter / "adapter_model.safetensors").write_bytes(b"weights")
    (made.adapter / "training_args.bin").write_bytes(b"pickle")
    (made.checkpoints / "checkpoint-10" / "optimizer.pt").write_bytes(b"state")
    (made.checkpoints / "checkpoint-12").mkdir()
    (made.checkpoints / "checkpoint-12" / "optimizer.pt").write_bytes(b"half")
    made.rewards.mkdir()
    (made.rewards / "dose.py").write_text("def dose(completions): ...\n")
    return made


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """Another home, as on another machine."""
    return Home.open(tmp_path / "other")


def names(file: Path) -> set[str]:
    with zipfile.ZipFile(file) as archive:
        return {name.partition("/")[2] for name in archive.namelist()}


def packed(tmp_path: Path, files: dict[str, str | bytes]) -> Path:
    """A zip file made by hand."""
    file = tmp_path / "made.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file


def contents(run: Run) -> dict[str, str | bytes]:
    """The least that is a run."""
    return {f"one/{name}": (run.folder / name).read_bytes() for name in ("config.json", "status.json")}


def test_an_exported_run_is_the_same_run_in_another_home(run: Run, other: Home, tmp_path: Path) -> None:
    found = import_run(other, export_run(run, tmp_path / "run.zip")).run
    assert (found.id, list_runs(other)) == (run.id, [found])
    assert found.config() == run.config()
    assert read_label(found) == read_label(run)
    assert read_events(found.events) == read_events(run.events)
    assert len(metrics_of(found)) == 12
    assert metrics_of(found)[-1].reward == metrics_of(run)[-1].reward
    assert found.milestones.read_bytes() == run.milestones.read_bytes()
    assert set(found.curves.iterdir()) == {found.curves / file.name for file in run.curves.iterdir()}
    assert read_completions(step_file(found, 7)) == read_completions(step_file(run, 7))
    assert (found.adapter / "adapter_model.safetensors").read_bytes() == b"weights"
    assert (found.status().state, found.status().step) == ("finished", 12)


def test_checkpoints_come_along_only_when_asked_for_and_only_whole_ones(run: Run, tmp_path: Path) -> None:
    assert not [name for name in names(export_run(run, tmp_path / "a.zip")) if name.startswith("checkpoints")]
    with_them = names(export_run(run, tmp_path / "b.zip", checkpoints=True))
    assert {name for name in with_them if name.startswith("checkpoints")} == {
        "checkpoints/checkpoint-10/optimizer.pt",
        "checkpoints/checkpoint-10/trainer_state.json",
    }


def test_logs_pickles_and_requests_stay_behind(run: Run, tmp_path: Path) -> None:
    run.stop_request.touch()
    found = names(export_run(run, tmp_path / "run.zip", checkpoints=True))
    assert not {name for name in found if name.endswith((".log", "args.bin", ".lock")) or name.startswith("control")}


def test_nothing_of_the_environment_is_in_a_trained_run_or_its_export(
    home: Home, tiny_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-never-to-be-seen-0123456789"
    for name in ("OPENAI_API_KEY", "GRPO_STUDIO_JUDGE_KEY", "HF_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, secret)
    trained = supervisor.start(home, with_changes(tiny_config, {"train.steps": 2}))
    assert supervisor.wait(trained, 300.0).state == "finished", trained.log.read_text()
    assert not [file for file in trained.folder.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    with zipfile.ZipFile(export_run(trained, tmp_path / "run.zip", checkpoints=True)) as archive:
        assert {"config.json", "adapter", "curves", "checkpoints"} <= {
            name.split("/")[1] for name in archive.namelist()
        }
        assert not [name for name in archive.namelist() if secret.encode() in archive.read(name)]


def test_an_export_never_writes_over_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "run.zip"
    file.write_text("mine")
    with pytest.raises(StorageError, match="there already"):
        export_run(run, file)
    assert file.read_text() == "mine"


def test_the_task_numbers_its_files(run: Run, home: Home) -> None:
    task = create_task(home, "export_run", {"runs": [run.id], "checkpoints": False})
    first, second = (export_task(home, task.arguments(), Progress(task)) for _ in range(2))
    assert (first, second) == ({"files": [f"{run.id}-1.zip"]}, {"files": [f"{run.id}-2.zip"]})
    assert {file.name for file in exports_folder(home).iterdir()} == {f"{run.id}-1.zip", f"{run.id}-2.zip"}


def test_the_task_says_how_far_it_is(run: Run, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_STATUS_SECONDS", 0.0)
    task = create_task(home, "export_run", {"runs": [run.id], "checkpoints": False})
    export_task(home, task.arguments(), Progress(task))
    status = task.status()
    assert status.phase == f"packing {run.id}"
    assert status.done == status.total > 0


def test_a_task_that_is_stopped_leaves_no_file(run: Run, home: Home) -> None:
    task = create_task(home, "export_run", {"runs": [run.id], "checkpoints": False})
    task.stop_request.touch()
    with pytest.raises(TaskStopped):
        export_task(home, task.arguments(), Progress(task))
    assert list(exports_folder(home).iterdir()) == []


def test_an_export_that_breaks_off_leaves_no_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_export, "_add", full)
    folder = tmp_path / "exports"
    folder.mkdir()
    with pytest.raises(StorageError, match="is full"):
        export_run(run, folder / "run.zip")
    assert list(folder.iterdir()) == []


def test_a_run_that_is_packed_while_it_goes_on_is_interrupted_elsewhere(
    home: Home, other: Home, tmp_path: Path
) -> None:
    live = build_run(home, Plan("running", done=12))
    found = import_run(other, export_run(live, tmp_path / "run.zip", checkpoints=True)).run
    assert (found.status().state, found.status().pid) == ("interrupted", 0)
    assert found.summary() == "Interrupted at step 12 of 36; resume from checkpoint 10."


def test_a_taken_id_gets_a_number(run: Run, home: Home, tmp_path: Path) -> None:
    file = export_run(run, tmp_path / "run.zip")
    assert import_run(home, file).run.id == f"{run.id}-2"
    assert len(list_runs(home)) == 2


def test_a_run_whose_id_is_as_long_as_can_be_is_listed_when_it_comes_in_twice(other: Home, tmp_path: Path) -> None:
    long = create_run(other, build_run(other, Plan(done=1)).config(), "x" * 48)
    assert len(long.id) == 64
    file = export_run(long, tmp_path / "run.zip")
    ids = {import_run(other, file).run.id for _ in range(2)}
    assert ids <= {run.id for run in list_runs(other)}


def test_custom_rewards_that_come_along_are_told(run: Run, other: Home, tmp_path: Path) -> None:
    (note,) = import_run(other, export_run(run, tmp_path / "run.zip")).notes
    assert "dose" in note and "trust" in note


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../evil", "not safe"),
        ("one/../../evil", "not safe"),
        ("/etc/evil", "not safe"),
        ("one\\..\\evil", "not safe"),
        ("C:/evil", "not safe"),
        ("one/completions/a\x1bb", "not safe"),
        ("one/completions/" + "a" * 250, "not safe"),
        ("two/config.json", "holds no run"),
    ],
)
def test_paths_that_lead_elsewhere_are_refused(name: str, sentence: str, run: Run, other: Home, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=sentence):
        import_run(other, packed(tmp_path, contents(run) | {name: "x"}))
    assert list(other.runs.iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_files_that_are_no_part_of_a_run_are_left_out_and_told(run: Run, other: Home, tmp_path: Path) -> None:
    extra: dict[str, str | bytes] = {
        "one/adapter/pytorch_model.bin": "x",
        "one/control/stop": "",
        "one/run.sh": "x",
        "__MACOSX/a": "x",
    }
    imported = import_run(other, packed(tmp_path, contents(run) | extra))
    assert not [path for path in imported.run.folder.rglob("*") if path.name in ("pytorch_model.bin", "stop", "run.sh")]
    assert imported.notes == ("4 files in it that are no part of a run were left out.",)


def test_a_file_that_unpacks_to_far_too_much_is_refused_before_anything_is_written(
    run: Run, other: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_import, "_SMALL_BYTES", 100_000)
    file = packed(tmp_path, contents(run) | {"one/events.jsonl": b"\0" * 10_000_000})
    with pytest.raises(RunError, match="times its size"):
        import_run(other, file)
    assert list(other.runs.iterdir()) == []


def test_a_run_for_which_there_is_no_room_is_refused(
    run: Run, other: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = export_run(run, tmp_path / "run.zip")
    monkeypatch.setattr(run_import, "_KEPT_FREE_BYTES", 2**63)
    with pytest.raises(StorageError, match="Free some space"):
        import_run(other, file)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda files: files.pop("one/config.json"), "holds no run"),
        (lambda files: files.pop("one/status.json"), "status.json"),
        (lambda files: files.update({"one/status.json": '{"state": "foo"}'}), "state: Input should be"),
        (lambda files: files.update({"one/status.json": '{"state": "stopped", "step": "a"}'}), "step: Input should be"),
        (lambda files: files.update({"one/config.json": "{}"}), "cannot be read|can read"),
        (lambda files: files.update({"one/config.json": "[1]"}), "can read"),
        (lambda files: files.update({"one/label.json": '{"tags": ["\\u001b"]}'}), "can read"),
        (lambda files: files.update({"one/curves/a": "x", "one/curves/a/b": "x"}), "two files of one name"),
    ],
)
def test_what_is_no_run_is_refused_and_leaves_nothing(
    change: Callable[[dict[str, str | bytes]], object], sentence: str, run: Run, other: Home, tmp_path: Path
) -> None:
    files = contents(run)
    change(files)
    with pytest.raises(RunError, match=sentence):
        import_run(other, packed(tmp_path, files))
    assert list(other.runs.iterdir()) == []


def test_a_damaged_zip_is_told_and_leaves_nothing(run: Run, other: Home, tmp_path: Path) -> None:
    file = export_run(run, tmp_path / "run.zip")
    content = bytearray(file.read_bytes())
    content[200:260] = b"\0" * 60
    file.write_bytes(content)
    with pytest.raises(RunError, match="not a whole zip file"):
        import_run(other, file)
    file.write_text(json.dumps({"no": "zip"}))
    with pytest.raises(RunError, match="not a whole zip file"):
        import_run(other, file)
    with pytest.raises(RunError, match="no file"):
        import_run(other, tmp_path / "missing.zip")
    assert list(other.runs.iterdir()) == []
