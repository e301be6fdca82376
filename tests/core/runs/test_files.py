"""A run is deleted whole or not at all, and never while somebody works on it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from core.access import audit, late_records
from core.errors import RunError, StorageError
from core.export.store import Export, writing_alone
from core.jobs.folder import Status
from core.paths import Home, disk_full
from core.presets import preset_config
from core.runs.files import Size, delete_run, size_of
from core.runs.run import Run, create_run, list_runs


@pytest.fixture
def run(home: Home) -> Run:
    made = create_run(home, preset_config("demo"))
    made.write_status(Status(state="finished", steps=4, step=4))
    (made.completions / "step-000001.parquet").write_bytes(b"x" * 1000)
    return made


def test_a_deleted_run_leaves_nothing_and_others_stay(home: Home, run: Run) -> None:
    other = create_run(home, preset_config("demo"))
    delete_run(home, run)
    assert [left.id for left in list_runs(home)] == [other.id]
    assert list((home.root / "trash").iterdir()) == []


@pytest.mark.parametrize("state", ["running", "paused", "queued"])
def test_a_run_that_is_live_or_waits_is_kept(state: str, home: Home, run: Run) -> None:
    me = psutil.Process()
    run.write_status(Status(state=state, pid=me.pid, created=me.create_time()))  # type: ignore[arg-type]
    with pytest.raises(RunError, match=run.id):
        delete_run(home, run)
    assert list_runs(home) == [run]


def test_a_run_whose_writer_lives_is_kept_whatever_its_status_says(home: Home, run: Run) -> None:
    with FileLock(run.folder / "control" / "writer.lock"), pytest.raises(RunError, match="still works on"):
        delete_run(home, run)
    assert list_runs(home) == [run]
    assert list((home.root / "trash").iterdir()) == []


def test_a_run_with_an_export_at_work_is_kept(home: Home, run: Run) -> None:
    export = run.folder / "exports" / "export-1"
    export.mkdir(parents=True)
    release = writing_alone(Export(export))
    with pytest.raises(RunError, match=r"export-1 of .* just now"):
        delete_run(home, run)
    assert list_runs(home) == [run] and list((home.root / "trash").iterdir()) == []
    release()
    delete_run(home, run)
    assert list_runs(home) == []


def test_a_removal_that_breaks_off_shows_no_half_run_and_is_done_with_the_next(
    home: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(place: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        with pytest.raises(StorageError, match="cannot be removed"):
            delete_run(home, run)
    assert list_runs(home) == []
    (left,) = (home.root / "trash").iterdir()
    assert (left / "completions" / "step-000001.parquet").is_file()
    second = create_run(home, preset_config("demo"))
    second.write_status(replace(second.written_status(), state="stopped"))
    delete_run(home, second)
    assert list((home.root / "trash").iterdir()) == []


def test_on_a_full_disk_a_deleted_run_makes_room_and_its_record_waits(
    home: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path, *further: object) -> None:
        raise disk_full(path.parent)

    with monkeypatch.context() as full:
        for module in (audit, late_records):
            full.setattr(module, "write_json", no_room)
        delete_run(home, run)
    assert list((home.root / "trash").iterdir()) == []
    second = create_run(home, preset_config("demo"))
    second.write_status(Status(state="stopped"))
    delete_run(home, second)
    assert [entry.subject for entry in audit.read_log(home)] == [run.id, second.id]


def test_a_run_is_removed_before_it_is_recorded(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the record needs the room."""
    left: list[Path] = []
    monkeypatch.setattr(audit, "record", lambda *_, **__: left.extend((home.root / "trash").iterdir()))
    delete_run(home, run)
    assert left == []


def test_a_run_that_cannot_be_moved_is_still_there(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> Path:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StorageError, match="was not deleted"):
        delete_run(home, run)
    assert list_runs(home) == [run]


def test_what_a_link_in_a_run_points_to_is_never_removed(home: Home, run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("mine")
    os.symlink(outside, run.folder / "adapter")
    delete_run(home, run)
    assert (outside / "keep").read_text() == "mine"


def test_the_size_counts_every_file_and_stops_where_there_are_too_many(run: Run) -> None:
    whole = size_of(run)
    assert whole.whole
    assert whole.bytes == sum(file.stat().st_size for file in run.folder.rglob("*") if file.is_file())
    assert size_of(run, most_files=1) != whole
    assert not size_of(run, most_files=1).whole
    assert size_of(Run(run.folder / "gone")) == Size(0, whole=True)
