import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.errors import ConfigError, RunError, StorageError
from core.jobs.folder import Status
from core.paths import Home, inside, valid_name, write_bytes
from core.presets import preset_config
from core.runs.run import create_run, find_run, list_runs


def test_runs_never_share_a_directory(home: Home) -> None:
    config = preset_config("demo")
    runs = [create_run(home, config) for _ in range(3)]
    assert len({run.id for run in runs}) == 3
    assert {run.id for run in list_runs(home)} == {run.id for run in runs}
    assert runs[0].config() == config


def test_a_run_whose_process_is_gone_is_interrupted_and_says_from_where_it_can_go_on(home: Home) -> None:
    run = create_run(home, preset_config("demo"))
    for step in (20, 22):
        (run.checkpoints / f"checkpoint-{step}").mkdir()
    (run.checkpoints / "checkpoint-20" / "trainer_state.json").write_text("{}")  # 22 is only half written
    run.write_status(Status(state="running", pid=2**22 - 1, created=1.0, step=23, steps=36))
    assert run.status().state == "interrupted"
    assert run.summary() == "Interrupted at step 23 of 36; resume from checkpoint 20."


def test_another_process_with_the_same_id_is_not_taken_for_the_job(home: Home) -> None:
    run = create_run(home, preset_config("demo"))
    me = psutil.Process()
    run.write_status(Status(state="running", pid=me.pid, created=me.create_time()))
    assert run.status().state == "running"
    run.write_status(Status(state="running", pid=me.pid, created=me.create_time() - 100))
    assert run.status().state == "interrupted"


def test_a_job_that_never_said_who_it_is_counts_as_interrupted_after_a_while(home: Home) -> None:
    run = create_run(home, preset_config("demo"))
    assert run.status().state == "starting"
    run.write_status(replace(run.written_status(), updated=time.time() - 3600))
    assert run.status().state == "interrupted"


def test_a_stop_request_shows_at_once(home: Home) -> None:
    run = create_run(home, preset_config("demo"))
    me = psutil.Process()
    run.write_status(Status(state="running", pid=me.pid, created=me.create_time()))
    run.stop_request.touch()
    assert run.status().state == "stopping"


@pytest.mark.parametrize("name", ["../evil", "", "a/b", "A", ".hidden", "a..b", "x" * 65, "a b"])
def test_names_that_could_leave_the_home_are_refused(name: str, home: Home) -> None:
    with pytest.raises(ConfigError):
        valid_name(name)
    with pytest.raises(RunError):
        find_run(home, name)


def test_an_unknown_run_is_named(home: Home) -> None:
    with pytest.raises(RunError, match="no run 'nothing-here'"):
        find_run(home, "nothing-here")
    with pytest.raises(RunError, match="no runs yet"):
        find_run(home, "last")


def test_paths_are_kept_inside(tmp_path: Path) -> None:
    assert inside(tmp_path, tmp_path / "a") == tmp_path / "a"
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(ConfigError, match="lies outside"):
        inside(tmp_path, tmp_path / "link" / "passwd")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="needs a folder that cannot be written")
def test_a_home_that_cannot_be_written_is_said() -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        Home.open("/proc/studio")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    write_bytes(path, b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="is full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["status.json"]
