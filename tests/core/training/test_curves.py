"""The curves on disk: exact whatever the number of points, whole whatever has happened to their writer."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.jobs.folder import Status
from core.paths import Home
from core.presets import preset_config
from core.runs.events import EventWriter, Metrics
from core.runs.run import Run, create_run
from core.training.curve_files import Columns
from core.training.curves import CurveReader, CurveWriter, metrics_of, open_writers, rebuild, rewards_of, stretch
from core.training.groups import GroupReader
from tests.build import metrics
from tests.build_runs import Plan, build_run

COMPONENTS = ("semantic", "fluency", "tags")
WEIGHTS = {"semantic": 0.5, "fluency": 0.3, "tags": 0.2}


def steps_of(count: int, gaps: tuple[int, ...] = ()) -> pd.DataFrame:
    """A table of rewards and KL divergences, some of them unknown."""
    random = np.random.default_rng(count)
    table = pd.DataFrame({"step": np.arange(1, count + 1), "reward": random.normal(size=count)})
    table["kl"] = np.where(random.random(count) < 0.3, np.nan, random.random(count))
    return table[~table["step"].isin(gaps)].reset_index(drop=True)


def write(folder: Path, table: pd.DataFrame) -> CurveWriter:
    writer = CurveWriter(folder, COMPONENTS)
    for step, reward, kl in table.itertuples(index=False):
        writer.append(metrics(step, reward=reward, kl=kl), WEIGHTS, ended=1000.0 + step)
    return writer


def by_pandas(table: pd.DataFrame, first: int, last: int, width: int) -> pd.DataFrame:
    chosen = table[table["step"].between(first, last)]
    stretches = chosen.groupby((chosen["step"] - 1) // width)
    columns = {"step": stretches["step"].max()}
    for name in ("reward", "kl"):
        columns |= {name: stretches[name].mean()}
        columns |= {f"{name} low": stretches[name].min(), f"{name} high": stretches[name].max()}
    return pd.DataFrame(columns).reset_index(drop=True)


@pytest.fixture(scope="module", params=[(), (1, 2, 3, 64, *range(200, 300))], ids=["whole", "gaps"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """1300 steps, in a folder and as a table."""
    folder, table = tmp_path_factory.mktemp("run") / "curves", steps_of(1300, request.param)
    write(folder, table)
    return folder, table


@pytest.mark.parametrize(("first", "last"), [(1, 1300), (1, 1), (5, 1290), (64, 128), (700, 703), (257, 1024)])
@pytest.mark.parametrize("points", [2, 7, 10, 100, 5000])
def test_every_row_of_a_frame_is_what_pandas_makes_of_the_steps(
    written: tuple[Path, pd.DataFrame], first: int, last: int, points: int
) -> None:
    folder, table = written
    frame = CurveReader(folder).frame(first, last, points, ["reward", "kl"])
    wanted = by_pandas(table, first, last, stretch(first, last, points))
    pd.testing.assert_frame_equal(frame, wanted, check_dtype=False, rtol=1e-12)
    assert len(frame) <= points + 2


def test_a_column_that_a_run_has_not_measured_is_unknown(tmp_path: Path) -> None:
    write(tmp_path / "curves", steps_of(20))
    frame = CurveReader(tmp_path / "curves").frame(1, 20, 4, ["reward", "score judge"])
    assert frame["score judge high"].isna().all() and frame["reward"].notna().all()


def test_a_single_step_is_a_whole_curve(tmp_path: Path) -> None:
    write(tmp_path / "curves", steps_of(1))
    frame = CurveReader(tmp_path / "curves").frame(1, 1, 100)
    assert frame["step"].tolist() == [1]
    assert frame["score semantic"].tolist() == frame["score semantic low"].tolist() == [0.4]
    assert frame["weight tags"].tolist() == [0.2]


def test_a_run_without_a_step_reads_as_empty(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path / "new"):
        reader = CurveReader(folder)
        assert (reader.metrics(1, 10), reader.newest()) == ([], (0, 0.0))
        assert reader.frame(1, 0, 100, ["reward"]).empty
        CurveWriter(tmp_path / "new", COMPONENTS)


def test_metrics_come_back_as_they_were(tmp_path: Path) -> None:
    written = [
        metrics(1, kl=0.02, gpu_bytes=7.0),
        metrics(2, effective={}, components={"semantic": math.nan, "fluency": 0.1, "tags": 1.0}),
    ]
    writer = CurveWriter(tmp_path / "curves", COMPONENTS)
    for step in written:
        writer.append(step, WEIGHTS, ended=50.0 + step.step)
    reader = CurveReader(tmp_path / "curves")
    assert repr(reader.metrics(1, 2)) == repr(written)  # NaN is not equal to itself
    assert reader.newest()[1] == 52.0
    assert reader.components == COMPONENTS


def test_a_number_that_is_not_finite_is_unknown(tmp_path: Path) -> None:
    writer = CurveWriter(tmp_path / "curves", COMPONENTS)
    writer.append(metrics(1, grad_norm=math.inf, reward=math.nan), WEIGHTS)
    frame = CurveReader(tmp_path / "curves").frame(1, 1, 10, ["grad_norm", "reward"])
    assert frame.drop(columns="step").isna().all(axis=None)


@pytest.mark.parametrize("torn", [1, 100, 8 * 30])
def test_half_a_record_of_a_killed_writer_is_not_there(tmp_path: Path, torn: int) -> None:
    folder = tmp_path / "curves"
    write(folder, steps_of(20))
    with (folder / "level-0.bin").open("ab") as file:
        file.write(b"\x40" * torn)
    assert CurveReader(folder).last_step == 20
    writer = CurveWriter(folder, COMPONENTS)
    writer.append(metrics(21), WEIGHTS)
    assert [m.step for m in CurveReader(folder).metrics(19, 30)] == [19, 20, 21]


def test_a_killed_writer_that_did_not_come_to_the_coarser_levels_loses_nothing(tmp_path: Path) -> None:
    folder, table = tmp_path / "curves", steps_of(130)
    write(folder, table)
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / "level-2.bin").unlink()
    (folder / "level-1.bin").write_bytes(whole["level-1.bin"][:-5000])
    wanted = by_pandas(table, 1, 130, 128)
    frame = CurveReader(folder).frame(1, 130, 2, ["reward", "kl"])
    pd.testing.assert_frame_equal(frame, wanted, check_dtype=False, rtol=1e-12)
    CurveWriter(folder, COMPONENTS)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == whole


def test_a_rewound_run_is_as_if_the_steps_had_never_been(tmp_path: Path) -> None:
    table = steps_of(1000)
    write(tmp_path / "curves", table).rewind(517)
    write(tmp_path / "other", table.head(517))
    files = [{f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in ("curves", "other")]
    kept = [{name: content for name, content in found.items() if content} for found in files]
    assert kept[0] == kept[1]


def test_a_step_that_is_done_again_replaces_the_first_and_those_after_it(tmp_path: Path) -> None:
    writer = write(tmp_path / "curves", steps_of(70))
    writer.append(metrics(40, reward=9.0), WEIGHTS)
    reader = CurveReader(tmp_path / "curves")
    assert reader.last_step == 40
    assert reader.frame(1, 40, 1, ["reward"])["reward high"].tolist() == [9.0]


def test_many_steps_at_once_make_the_same_files_as_one_after_the_other(tmp_path: Path) -> None:
    writer = write(tmp_path / "one", steps_of(700))
    rows = np.fromfile(tmp_path / "one" / "level-0.bin").reshape(700, len(writer.columns.names))
    bulk = CurveWriter(tmp_path / "many", COMPONENTS)
    bulk.extend(rows[:333])
    bulk.extend(rows[333:])
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "many" / file.name).read_bytes() == file.read_bytes()


def test_a_reader_never_sees_half_of_what_a_writer_writes(tmp_path: Path) -> None:
    folder = tmp_path / "curves"
    writer, done = CurveWriter(folder, COMPONENTS), threading.Event()

    def train() -> None:
        for step in range(1, 1500):
            writer.append(metrics(step, reward=float(step)), WEIGHTS)
        done.set()

    thread = threading.Thread(target=train)
    thread.start()
    reader, seen = CurveReader(folder), 0
    while not done.is_set():
        last = reader.last_step
        assert last >= seen
        seen = last
        frame = reader.frame(1, last, 20, ["reward"])
        if last:
            assert frame["step"].iloc[-1] == last
            assert frame["reward low"].tolist() == [1.0, *(frame["step"].iloc[:-1] + 1)]
            assert frame["reward high"].tolist() == frame["step"].tolist()
    thread.join()


def test_other_components_are_refused(tmp_path: Path) -> None:
    CurveWriter(tmp_path / "curves", COMPONENTS)
    with pytest.raises(ValueError, match="other columns"):
        CurveWriter(tmp_path / "curves", ("tags",))


def older(home: Home, state: str = "finished", done: int = 20) -> Run:
    """A run as an earlier version wrote it."""
    run = build_run(home, Plan(state, done=done))  # type: ignore[arg-type]
    for file in (*run.curves.glob("*"), run.milestones):
        file.unlink(missing_ok=True)
    if run.curves.exists():
        run.curves.rmdir()
    return run


def test_the_curves_of_an_older_run_are_made_from_its_events_and_completions(home: Home) -> None:
    run = older(home)
    assert len(rewards_of(run, 100)) == 20
    assert Columns.read(run.curves) == Columns.of(run.config().reward.components)
    assert GroupReader(run.curves).of_row(7)["step"].tolist() == [7]
    assert [m.step for m in metrics_of(run, 18)] == [18, 19, 20]
    assert not list(run.folder.glob(".curves*"))


def test_looking_at_a_live_older_run_leaves_its_folder_alone(home: Home) -> None:
    run = older(home, "running", 7)
    assert len(metrics_of(run)) == 7
    assert not run.curves.exists()


def test_a_resume_leaves_later_steps_behind_when_curves_are_made_anew(home: Home) -> None:
    run = older(home, "stopped", 12)
    events = EventWriter(run.events)
    events.write("state", 10, {"state": "running"})
    events.write("weights", 10, {"weights": {"semantic": 1.0, "fluency": 0.0, "tags": 0.0}})
    events.write("metrics", 11, metrics(11, reward=0.75).data())
    events.close()
    rebuild(run)
    assert [m.reward for m in metrics_of(run, 11)] == [0.75]
    weights = CurveReader(run.curves).frame(1, 11, 100, ["weight semantic"])["weight semantic"]
    assert weights.iloc[-1] == 1.0


def test_a_job_that_resumes_an_older_run_finds_its_curve_up_to_the_checkpoint(home: Home) -> None:
    run = older(home, "stopped", 12)
    curves, groups = open_writers(run, run.config().reward.components, step=10)
    assert curves.last_step == 10
    assert GroupReader(run.curves).of_row(10)["step"].tolist() == [10] and GroupReader(run.curves).of_row(11).empty
    curves.close()
    groups.close()


def test_a_job_that_resumes_with_curves_that_lack_steps_makes_them_from_the_events(home: Home) -> None:
    run = older(home, "stopped", 12)
    open_writers(run, run.config().reward.components, step=3)
    curves, _ = open_writers(run, run.config().reward.components, step=10)
    assert curves.last_step == 10


def test_the_curves_of_a_new_run_begin_empty(home: Home) -> None:
    run = create_run(home, preset_config("demo"))
    curves, _ = open_writers(run, COMPONENTS, step=0)
    assert curves.last_step == 0
    assert isinstance(run.status(), Status) and metrics_of(run) == []


def test_every_number_of_the_metrics_has_a_column() -> None:
    names = set(Columns.of(COMPONENTS).names)
    assert set(Metrics.__dataclass_fields__) - {"components", "effective"} <= names
