"""Ends processes together with everything they have started, and starts such that must not outlive this one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import psutil

from core.paths import PROJECT

_GONE_SECONDS = 10.0
_LOOK_SECONDS = 0.02


def end_tree(process: psutil.Process, seconds: float = _GONE_SECONDS) -> bool:
    """Kill a process and all its descendants, at once; returns whether all are gone after at most so many seconds.

    They are stopped before they are killed, parents first, so that none starts another while this looks.
    """
    found: list[psutil.Process] = []
    fresh = [process]
    while fresh:
        for one in fresh:
            with suppress(psutil.Error):
                one.suspend()
        found += fresh
        fresh = [child for child in _children(process) if child not in found]
    return _kill(found, seconds)


@contextmanager
def tethered(
    command: Sequence[str], environment: Mapping[str, str], seconds: float = _GONE_SECONDS
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for the length of a `with` block; it never outlives this process, even one that is killed.

    At the end of the block it is asked to end, and killed with all that it has started after so many seconds.
    """
    process = start_tethered(command, environment)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def start_tethered(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that ends, with all that it starts, when this process does, even by SIGKILL.

    What is returned stands for it: `wait` gives its exit code and `terminate` reaches it. Closing `stdin` kills it.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "core.jobs.tether", *command], cwd=PROJECT, env=dict(environment), stdin=subprocess.PIPE
    )


def family_bytes(process: psutil.Process | None) -> int:
    """The machine's memory that a process and all its descendants take; 0 for none, and for those that have ended."""
    total = 0
    for one in [process, *_children(process)] if process is not None else []:
        with suppress(psutil.Error):  # it has just ended
            total += int(one.memory_info().rss)
    return total


def left_after(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still live after so many seconds, or none as soon as all have ended.

    A zombie has ended: it holds no memory, and the process that has to take note of it may be another one.
    """
    deadline = time.monotonic() + seconds
    while (left := [one for one in processes if _lives(one)]) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return left


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:  # it has ended just now
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:  # it has ended
        return []


def _kill(processes: Sequence[psutil.Process], seconds: float) -> bool:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    return not left_after(processes, seconds)
