"""Servers that load nothing, for tests that start some."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from core.jobs import spawning
from core.jobs.folder import running
from core.paths import Home
from core.serving.candidates import Candidate
from core.serving.server import Server
from core.serving.servers import servers, stop_all, wait_for
from tests.stand_in_server import MODULE

LONG = 60.0
"""Seconds that a server which loads nothing never takes."""


@contextmanager
def stand_in_servers(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Starts stand-ins in place of servers, on a machine without a GPU; none is left afterwards."""
    real = spawning.detached
    monkeypatch.setattr(spawning, "detached", lambda module, *rest: real(MODULE, *rest))
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", lambda: ())
    yield
    stop_all(home)


def started(home: Home, candidate: Candidate) -> Server:
    """The server of a candidate, once it answers."""
    wait_for(home, candidate, LONG)
    return servers(home)[-1]


def pid_of(server: Server) -> int:
    """The id of its process."""
    return server.task.written_status().pid


def lives(pid: int) -> bool:
    """Whether the process does something still; one that its parent has not looked after yet does not."""
    return running(pid) is not None


def ended_process() -> psutil.Process:
    """A process that has ended, by its id and creation time."""
    child = psutil.Popen([sys.executable, "-c", ""])
    found = psutil.Process(child.pid)
    found.create_time()
    child.wait()
    return found
