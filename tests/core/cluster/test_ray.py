"""Runs on a Ray cluster: the same directory, the same way to stop and to resume, and a lost node is no end."""

from __future__ import annotations

import re
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from filelock import FileLock

from core.config import RunConfig
from core.engine import ray_cluster, ray_rank
from core.engine.rank_failures import failures_told, refused
from core.engine.ray_cluster import uses_gpus
from core.engine.ray_launch import _outcome, restarts
from core.engine.ray_rank import Plan, loss_note, note_loss, rank_lock, take_over, work_as_rank
from core.errors import ConfigError, RewardError, RunError
from core.jobs.processes import left_after
from core.paths import Home, write_bytes
from core.runs.completions import read_completions, step_file
from core.runs.events import latest_metrics, read_events
from core.runs.run import Run, create_run
from core.training import distribution
from tests.build_machine import machine
from tests.core.cluster.build import LONG, await_step, job, on_ray, two_nodes, worked


def alerts(run: Run) -> list[str]:
    return [event.data["message"] for event in read_events(run.events) if event.kind == "alert"]


def steps(run: Run) -> list[int]:
    return [metrics.step for metrics in latest_metrics(read_events(run.events))]


@pytest.fixture(autouse=True)
def own_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRPO_STUDIO_RAY_ADDRESS", "RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_two_processes_of_a_cluster_on_this_machine_train_one_run(home: Home, tiny_config: RunConfig) -> None:
    run = create_run(home, on_ray(tiny_config, **{"train.steps": 2}))
    assert worked(run, home) == 0
    assert (run.status().state, steps(run), run.checkpoint_steps()) == ("finished", [1, 2], [2])
    assert [len(read_completions(step_file(run, step))) for step in (1, 2)] == [4, 4]
    assert not list(run.folder.rglob("*ray*")) and not (home.cache / "ray").exists()
    assert (run.adapter / "adapter_model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_goes_on_from_its_checkpoint_when_a_node_is_lost(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    run = create_run(home, on_ray(tiny_config, **{"train.steps": 40, "train.save_every": 2}))
    with two_nodes() as cluster, job(run, home, {"GRPO_STUDIO_RAY_ADDRESS": cluster.address}) as process:
        await_step(run, process, 5)  # by then checkpoint 4 is whole
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        cluster.add_node(num_cpus=1)
        assert process.wait(LONG) == 0
    assert (run.status().state, steps(run)) == ("finished", list(range(1, 41)))
    assert any("lost" in told for told in alerts(run))
    begun = [e.step for e in read_events(run.events) if e.kind == "state" and e.data["state"] == "running"]
    assert begun[0] == 0 and len(begun) == 2 and begun[1] >= 4 and begun[1] % 2 == 0


@pytest.mark.slow
def test_a_run_that_loses_its_processes_again_and_again_fails_and_offers_a_resume(
    home: Home, tiny_config: RunConfig
) -> None:
    run = create_run(home, on_ray(tiny_config, **{"train.steps": 400}))
    with job(run, home, {"GRPO_STUDIO_RAY_RESTARTS": "0"}) as process:
        await_step(run, process, 3)
        family = psutil.Process(process.pid).children(recursive=True)
        next(one for one in family if "RayTrainWorker" in " ".join(one.cmdline())).kill()
        assert process.wait(LONG) == 2
    status = run.status()
    assert status.state == "failed" and "lost" in status.error
    assert "resume from checkpoint" in run.summary()


@pytest.mark.slow
def test_a_stop_saves_a_checkpoint_and_a_resume_finishes_the_run(home: Home, tiny_config: RunConfig) -> None:
    run = create_run(home, on_ray(tiny_config, **{"train.steps": 30, "train.save_every": 1000}))
    with job(run, home) as process:
        await_step(run, process, 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0
    stopped = run.status()
    assert stopped.state == "stopped" and run.checkpoint_steps() == [stopped.step]
    run.stop_request.unlink()
    assert worked(run, home) == 0
    assert steps(run) == list(range(1, 31))


@pytest.mark.slow
def test_no_training_process_outlives_a_job_that_is_killed(home: Home, tiny_config: RunConfig) -> None:
    run = create_run(home, on_ray(tiny_config, **{"train.steps": 400}))
    with job(run, home) as process:
        await_step(run, process, 1)
        family = psutil.Process(process.pid).children(recursive=True)
        training = [one for one in family if "RayTrainWorker" in " ".join(one.cmdline())]
        process.kill()
        assert len(training) == 2 and left_after(training, 60.0) == []
    assert run.status().state == "interrupted"


@pytest.mark.slow
def test_an_error_that_the_user_has_to_mend_is_not_tried_again(home: Home, tiny_config: RunConfig) -> None:
    config = on_ray(tiny_config, **{"reward.similarity_model": str(home.root / "nowhere")})
    run = create_run(home, config)
    assert worked(run, home) == 2
    assert "nowhere" in run.status().error
    assert not any("lost" in told for told in alerts(run))


@pytest.mark.parametrize(
    ("offered", "on_gpus"),
    [({"CPU": 2.0}, False), ({"CPU": 16.0, "GPU": 2.0}, True), ({"CPU": 64.0, "GPU": 4.0}, True)],
)
def test_a_cluster_with_gpus_trains_on_them(offered: dict[str, float], on_gpus: bool) -> None:
    assert uses_gpus(SimpleNamespace(cluster_resources=lambda: offered), 2) is on_gpus


@pytest.mark.parametrize("offered", [{"CPU": 1.0}, {"CPU": 64.0, "GPU": 1.0}, {}])
def test_a_cluster_that_is_too_small_is_refused_at_once(offered: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=re.escape("train.processes is 2")):
        uses_gpus(SimpleNamespace(cluster_resources=lambda: offered), 2)


@pytest.mark.parametrize(
    ("changes", "packages", "offered"),
    [
        ({}, {"ray": None}, {"train.cluster": "none"}),
        ({"train.backend": "unsloth", "train.processes": 1}, {}, {"train.backend": "trl"}),
        ({"train.generation": "vllm_server"}, {}, {"train.generation": "vllm"}),
    ],
)
def test_what_no_cluster_can_do_is_refused_before_the_start_with_what_works(
    changes: dict[str, object],
    packages: dict[str, str | None],
    offered: dict[str, object],
    tiny_config: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRPO_STUDIO_RAY_ADDRESS", "ray://10.0.0.1:10001")
    found = distribution.findings(on_ray(tiny_config, **changes), machine(4, packages=packages))
    assert [one.level for one in found] == ["stop"]
    assert offered in [dict(mend.changes) for mend in found[0].mends]


def test_more_processes_than_this_machine_has_gpus_are_left_to_the_cluster(tiny_config: RunConfig) -> None:
    assert distribution.findings(on_ray(tiny_config), machine(1)) == []


def test_a_machine_without_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"requirements-cluster\.txt"), ray_cluster.connected(2):
        pass


def test_a_number_of_restarts_that_is_none_is_refused() -> None:
    with pytest.raises(RunError, match="GRPO_STUDIO_RAY_RESTARTS"):
        restarts({"GRPO_STUDIO_RAY_RESTARTS": "often"})


def test_keys_reach_the_training_processes_and_stand_in_no_text_of_the_plan() -> None:
    carried = ray_cluster.carried_environment({"OPENAI_API_KEY": "opensesame", "SHELL": "/bin/sh"})
    assert carried == {"OPENAI_API_KEY": "opensesame"}
    assert "opensesame" not in repr(Plan(Path("/run"), Path("/home"), 2, False, 3, carried))


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process in the place of the first training process, without what that does to itself for good."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(ray_rank, "hide_environment", lambda: None)
    monkeypatch.setattr(ray_rank, "scrub_output", lambda: None)


@pytest.mark.usefixtures("as_rank")
def test_a_node_that_does_not_see_the_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not see"):
        work_as_rank(Plan(tmp_path / "elsewhere", tmp_path, 2, False, 3, {}))


@pytest.mark.usefixtures("as_rank")
def test_two_processes_never_write_into_one_run(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(home, tiny_config)
    monkeypatch.setattr(ray_rank, "_LOCK_SECONDS", 0.0)
    with FileLock(rank_lock(run)), pytest.raises(RunError, match="Another training process"):
        work_as_rank(Plan(run.folder, home.root, 2, False, 3, {}))


def test_who_takes_over_tells_of_the_loss_and_removes_what_was_half_done(home: Home, tiny_config: RunConfig) -> None:
    run = create_run(home, tiny_config)
    half = run.checkpoints / "checkpoint-2"
    half.mkdir()
    write_bytes(loss_note(run), b"Training process 2 of the Ray cluster was lost.")
    take_over(run)
    assert not half.exists() and not loss_note(run).exists()
    assert alerts(run) == [
        "Training process 2 of the Ray cluster was lost. The run goes on from its last whole checkpoint."
    ]


def test_only_a_process_that_is_gone_counts_as_lost(home: Home, tiny_config: RunConfig) -> None:
    run = create_run(home, tiny_config)
    gone = type("ActorDiedError", (Exception,), {"__module__": "ray.exceptions"})
    note_loss(run, {0: RuntimeError("Connection closed by peer"), 1: gone("its node has died")})
    assert loss_note(run).read_text() == "Training process 2 of the Ray cluster was lost."


def fail(run: Run, rank: int, error: Exception) -> None:
    with suppress(Exception), failures_told(run, rank):
        raise error


def test_what_another_process_has_met_already_outlives_a_takeover(home: Home, tiny_config: RunConfig) -> None:
    run = create_run(home, tiny_config)
    fail(run, 1, RewardError("The judge cannot be asked."))
    take_over(run)
    assert refused(run)


@pytest.mark.parametrize(("error", "kept"), [(RewardError("The judge cannot be asked."), True), (OSError("x"), False)])
def test_of_a_lost_group_only_what_the_user_has_to_mend_is_remembered(
    error: Exception, kept: bool, home: Home, tiny_config: RunConfig
) -> None:
    run = create_run(home, tiny_config)
    fail(run, 1, error)
    note_loss(run, {1: error})
    assert any((run.folder / "control" / "failures").glob("*")) is kept
    assert loss_note(run).exists() is not kept


def test_a_connection_that_is_lost_while_the_run_is_awaited_is_said(home: Home, tiny_config: RunConfig) -> None:
    def wait(tasks: object, timeout: float) -> None:
        raise ConnectionError("ray client connection timeout")

    ray = SimpleNamespace(wait=wait, exceptions=SimpleNamespace(RayError=type("RayError", (Exception,), {})))
    assert _outcome(ray, None, create_run(home, tiny_config)) == "The connection to the Ray cluster was lost."


def test_what_a_killed_job_left_of_its_cluster_is_removed_and_what_another_uses_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, used = tmp_path / "grpo-ray-left", tmp_path / "grpo-ray-used"
    for folder in (left, used):
        folder.mkdir()
        (folder / "in-use.lock").touch()
    with FileLock(used / "in-use.lock"), ray_cluster._scratch() as mine:
        assert sorted(tmp_path.iterdir()) == sorted([used, Path(mine)])
    assert list(tmp_path.iterdir()) == [used]
