"""Processes that must not outlive the one that started them. All of these are real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.jobs.processes import end_tree, family_bytes, left_after, tethered
from core.paths import PROJECT

LONG = 60.0
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
if os.fork() == 0:  # its parent ends at once: an orphan
    os.setsid()
    if os.fork() == 0:
        pass
    else:
        os._exit(0)
with open(sys.argv[1], "a") as file:
    print(os.getpid(), child.pid, file=file, flush=True)
time.sleep(600)
"""
"""A process with a child in a session of its own, and a descendant that has no parent any more."""
OWNER = """
import os, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from core.jobs.processes import start_tethered, left_after
child = start_tethered([sys.executable, "-c", sys.argv[2], sys.argv[3]], os.environ)
time.sleep(600)
"""


@pytest.fixture
def ids(tmp_path: Path) -> Iterator[Path]:
    """The file in which a family writes its process ids; whatever is left of it is killed."""
    file = tmp_path / "ids"
    file.touch()
    yield file
    for process in family(file):
        process.kill()


def family(file: Path) -> list[psutil.Process]:
    found = []
    for pid in {int(pid) for pid in file.read_text().split()}:
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            found.append(psutil.Process(pid))
    return found


def grown(file: Path, owner: psutil.Process) -> list[psutil.Process]:
    """The family once all of it is there."""
    for _ in range(600):
        if len(file.read_text().splitlines()) == 2:
            return family(file)
        psutil.wait_procs([owner], timeout=0.1)
    raise AssertionError("the family did not grow")


def test_a_tethered_process_and_its_orphans_end_when_the_starter_is_killed(ids: Path) -> None:
    owner = psutil.Popen([sys.executable, "-c", OWNER, str(PROJECT), FAMILY, str(ids)], cwd=PROJECT)
    members = grown(ids, owner)
    assert len(members) == 3
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert psutil.wait_procs(members, timeout=LONG)[1] == []


def test_a_tethered_process_gives_its_own_exit_code() -> None:
    with tethered([sys.executable, "-c", "raise SystemExit(7)"], os.environ) as child:
        assert child.wait(LONG) == 7


@pytest.mark.parametrize("program", [FAMILY, f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{FAMILY}"])
def test_what_is_tethered_to_a_block_is_gone_after_it_even_when_it_does_not_listen(ids: Path, program: str) -> None:
    with tethered([sys.executable, "-c", program, str(ids)], os.environ, seconds=0.5) as child:
        members = grown(ids, psutil.Process(child.pid))
    assert psutil.wait_procs(members, timeout=LONG)[1] == []


def test_ending_a_tree_ends_children_that_have_sessions_of_their_own(ids: Path) -> None:
    root = subprocess.Popen([sys.executable, "-c", FAMILY, str(ids)])
    members = grown(ids, psutil.Process(root.pid))
    direct = [one for one in members if one.pid == root.pid or one.ppid() == root.pid]
    assert len(direct) == 2
    assert end_tree(psutil.Process(root.pid))
    assert psutil.wait_procs(direct, timeout=LONG)[1] == []
    root.wait()


def test_a_zombie_of_another_process_has_ended() -> None:
    start = "import subprocess, sys; p = subprocess.Popen(['true']); print(p.pid, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert left_after([child], LONG) == []
        assert child.status() == psutil.STATUS_ZOMBIE
        assert end_tree(child)


def test_the_memory_of_a_process_counts_what_it_has_started() -> None:
    with tethered([sys.executable, "-c", "import time; time.sleep(600)"], os.environ) as child:
        me, started = psutil.Process(), psutil.Process(child.pid)
        while not started.children():
            assert child.poll() is None
        assert family_bytes(started) > started.memory_info().rss
        assert family_bytes(me) > me.memory_info().rss
    assert family_bytes(started) == family_bytes(None) == 0


def test_what_still_lives_after_the_time_is_told() -> None:
    me = psutil.Process()
    assert left_after([me], 0.0) == [me]
