"""No server outlives those who use it, even while it cannot listen."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from core.jobs import server_guard
from core.jobs.folder import JobFolder, Status
from core.jobs.processes import left_after
from core.jobs.server_guard import ADDRESS, guarded, living_users
from core.paths import PROJECT
from core.serving.lifetime import use, write_address
from tests.build_servers import ended_process

SECONDS = 60.0
NEVER_ENDS = """
import subprocess, sys, threading
from pathlib import Path
from core.jobs import server_guard
from core.jobs.folder import JobFolder
server_guard._LOOK_SECONDS = server_guard._END_SECONDS = 0.01
waits = "import threading; threading.Event().wait()"
child = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
with server_guard.guarded(JobFolder(Path(sys.argv[1]))):
    threading.Event().wait()
"""


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    (tmp_path / "control").mkdir()
    job = JobFolder(tmp_path)
    job.write_status(Status(state="running"))
    return job


def test_a_process_that_got_the_id_of_a_user_is_not_taken_for_it(job: JobFolder) -> None:
    me = psutil.Process()
    (job.folder / "users").mkdir()
    (job.folder / "users" / f"{me.pid}-{me.create_time() - 100}").touch()
    assert living_users(job.folder) == []


def test_a_server_that_loads_is_asked_to_stop_when_its_user_has_ended(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_guard, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(server_guard, "_end_by_force", lambda job: pytest.fail("it had time left"))
    gone = ended_process()
    (job.folder / "users").mkdir()
    (job.folder / "users" / f"{gone.pid}-{gone.create_time()}").touch()
    with guarded(job):
        write_address(job.folder, "http://127.0.0.1:1", "token")
        guard = next(thread for thread in threading.enumerate() if thread.name == "guard")
        while not job.stop_request.exists():
            assert guard.is_alive()
    assert not guard.is_alive()
    assert not (job.folder / ADDRESS).exists(), "nobody may ask a server that has ended"


def test_a_server_that_does_not_end_when_asked_to_is_ended_by_force_with_all_it_has_started(job: JobFolder) -> None:
    use(job)
    job.stop_request.touch()
    command = [sys.executable, "-c", NEVER_ENDS, str(job.folder)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        child = psutil.Process(int(server.stdout.readline()))
        assert server.wait(SECONDS) == 0
    assert left_after([child], SECONDS) == []
    assert job.written_status().state == "stopped"
