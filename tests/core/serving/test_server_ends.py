"""Servers end when nobody who uses them lives, and give their memory back before a run needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE, Popen

import psutil
import pytest

from core.errors import ModelError, RunError
from core.jobs import supervisor
from core.jobs.folder import JobFolder, Status, process
from core.jobs.tasks import TRIAL
from core.locks import locked
from core.machine import Gpu, Machine
from core.paths import PROJECT, Home
from core.presets import preset_config
from core.runs.run import Run
from core.serving.candidates import Candidate
from core.serving.memory import need
from core.serving.server import by_start, look_at
from core.serving.servers import endpoint_of, ensure, leave_server, servers, wait_for
from tests.build_adapters import adapted_run, run_of, save_base
from tests.build_servers import LONG, lives, pid_of, stand_in_servers, started
from tests.stand_in_server import MODULE, SLOW


@pytest.fixture(autouse=True)
def stand_ins(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with stand_in_servers(home, monkeypatch):
        yield


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_base(tmp_path / "base-1b")


@pytest.fixture
def run(home: Home, base: Path) -> Run:
    return adapted_run(home, base)


@pytest.fixture
def model(base: Path) -> Candidate:
    return Candidate(kind="model", model=str(base))


@pytest.fixture
def studio(home: Home) -> Iterator[Callable[[Candidate], Popen[bytes]]]:
    """Opens other studios with the same home, that use a candidate's server; killed when the test ends."""
    with ExitStack() as opened:

        def open_one(candidate: Candidate) -> Popen[bytes]:
            command = [sys.executable, "-m", MODULE, "studio", str(home.root), str(candidate)]
            other = opened.enter_context(Popen(command, cwd=PROJECT, stdin=PIPE, stdout=PIPE))
            opened.callback(other.kill)
            return other

        yield open_one


def answering(other: Popen[bytes]) -> int:
    """The process id of a studio, once its server answers."""
    assert other.stdout is not None
    assert other.stdout.readline().startswith(b"http://127.0.0.1:")
    return other.pid


def end(other: Popen[bytes]) -> None:
    other.kill()
    other.wait()


def test_who_leaves_last_ends_the_server(home: Home, model: Candidate, studio: Callable[..., Popen[bytes]]) -> None:
    server, other = started(home, model), studio(model)
    answering(other)
    assert not leave_server(server)
    assert wait_for(home, model, LONG).model == "base", "another one uses it"
    end(other)
    assert leave_server(server)
    assert not lives(pid_of(server))


def test_no_server_outlives_the_last_studio_even_one_that_is_killed(
    home: Home, model: Candidate, studio: Callable[..., Popen[bytes]]
) -> None:
    first, second = studio(model), studio(model)
    both = {answering(first), answering(second)}
    (server,) = servers(home)
    found = psutil.Process(pid_of(server))
    assert set(server.users) == both
    end(first)
    assert server.users == [second.pid] and look_at(server.task).state == "ready"
    end(second)
    assert psutil.wait_procs([found], timeout=LONG)[1] == []
    with pytest.raises(ModelError, match="nobody uses it any more"):
        endpoint_of(home, model)


def test_no_server_that_loads_outlives_its_studio(
    home: Home, model: Candidate, base: Path, studio: Callable[..., Popen[bytes]]
) -> None:
    (base / SLOW).touch()
    other = studio(model)
    while not [server for server in servers(home) if server.users]:
        assert other.poll() is None
    found = process(servers(home)[0].task.written_status())
    assert found is not None
    end(other)
    assert psutil.wait_procs([found], timeout=LONG)[1] == []


def start_run(home: Home, run: Run, gpus: tuple[str, ...] = ()) -> None:
    supervisor.start_job(home, run, gpus)


def try_run(home: Home, run: Run) -> None:
    supervisor.start_task(home, TRIAL, {"config": preset_config("demo").model_dump(mode="json")})


@pytest.mark.parametrize("begin", [start_run, try_run])
def test_a_run_or_preflight_finds_no_server_in_its_way(
    begin: Callable[[Home, Run], None], home: Home, model: Candidate, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started(home, model)
    alive: list[bool] = []
    monkeypatch.setattr(supervisor, "spawn", lambda job, *_: alive.append(lives(pid_of(server))))
    run.write_status(replace(run.written_status(), state="stopped"))
    begin(home, run)
    assert alive == [False], "its memory is back before the job is started"
    with pytest.raises(ModelError, match="has ended: it was asked to stop"):
        endpoint_of(home, model)


@pytest.mark.parametrize("begin", [start_run, try_run])
def test_no_server_can_start_before_the_run_that_ended_the_others_counts_as_live(
    begin: Callable[[Home, Run], None], home: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, kept_out = JobFolder.write_status, []

    def look() -> None:
        try:
            with locked(home.root / "servers.lock", 0, "busy", RunError):
                kept_out.append(False)
        except RunError:
            kept_out.append(True)

    def write_status(job: JobFolder, status: Status, sync: bool = True) -> None:
        look()
        write(job, status, sync)

    monkeypatch.setattr(supervisor, "spawn", lambda job, *_: look())
    run.write_status(replace(run.written_status(), state="stopped"))
    monkeypatch.setattr(supervisor, "clear_servers", lambda home, gpus: look())
    monkeypatch.setattr(JobFolder, "write_status", write_status)
    begin(home, run)
    *before, after = kept_out
    assert len(before) >= 2 and all(before)
    assert not after, "while the job starts, servers may, beside it"


def test_a_run_on_another_gpu_leaves_a_server_alone(
    home: Home, model: Candidate, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "gpu_for_a_task", lambda home: ("0",))
    server = started(home, model)
    monkeypatch.setattr(supervisor, "spawn", lambda job, home: None)
    start_run(home, run, ("1",))
    assert look_at(server.task).live
    start_run(home, run, ("0", "2"))
    assert not lives(pid_of(server))


def test_a_server_that_does_not_end_when_a_run_needs_its_memory_is_killed(
    home: Home, model: Candidate, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started(home, model)
    found = psutil.Process(pid_of(server))
    found.suspend()
    monkeypatch.setattr("core.jobs.server_tasks._END_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "spawn", lambda job, home: None)
    start_run(home, run)
    assert not lives(found.pid)
    with pytest.raises(ModelError, match="has ended: it was asked to stop"):
        endpoint_of(home, model)
    assert look_at(server.task).state == "stopped" and servers(home) == []


def test_a_model_too_large_for_the_memory_is_refused_with_both_numbers(
    home: Home, model: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = replace(Machine.inspect(home), gpus=(), free_memory_bytes=300_000_000)
    monkeypatch.setattr(Machine, "inspect", lambda home: machine)
    with pytest.raises(ModelError, match=r"base-1b needs about 0.6 GB of memory to answer and 0.3 GB are free. Stop"):
        ensure(home, model)
    assert by_start(home) == []
    llama = Candidate(kind="model", model="meta-llama/Llama-3.1-8B-Instruct")
    with pytest.raises(ModelError, match=r"Llama-3.1-8B-Instruct needs about 3\d.\d GB"):
        ensure(home, llama)


def test_what_a_live_run_will_still_take_does_not_count_as_free(
    home: Home, model: Candidate, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = replace(Machine.inspect(home), gpus=(), free_memory_bytes=2_000_000_000)
    before = need(model.model, home, machine, ())
    assert before.fits and before.promised == 0
    run = run_of(home, base)
    me = psutil.Process()
    run.write_status(replace(run.written_status(), state="running", pid=me.pid, created=me.create_time()))
    monkeypatch.setattr("core.serving.memory.family_bytes", lambda process: 1_000_000)
    monkeypatch.setattr(Machine, "inspect", lambda home: machine)
    with pytest.raises(ModelError, match=r"2.0 GB are free, of which the run that is going on needs \d"):
        ensure(home, model)
    assert by_start(home) == []


def test_on_a_gpu_its_own_memory_counts(home: Home, base: Path) -> None:
    gpus = tuple(Gpu(index, "GPU", 80_000_000_000, free) for index, free in enumerate((9_000_000_000, 70_000_000_000)))
    machine = replace(Machine.inspect(home), gpus=gpus, packages={"torch": "2.10.0"})
    llama = "meta-llama/Llama-3.1-8B-Instruct"
    found = [need(llama, home, machine, (name,)) for name in ("0", "1")]
    assert [(one.free, one.fits, one.place) for one in found] == [
        (9_000_000_000, False, "GPU memory"),
        (70_000_000_000, True, "GPU memory"),
    ]
