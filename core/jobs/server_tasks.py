"""Ends servers, which hold no room of their own: where a run needs their memory, they make way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from core.errors import RunError
from core.jobs.folder import JobFolder
from core.jobs.processes import end_tree, left_after
from core.jobs.tasks import SERVERS, tasks_of
from core.locks import locked
from core.paths import Home

_START_SECONDS = 120.0
_END_SECONDS = 10.0
"""How long a server may take to end when a run needs its memory; then it is killed, for it has nothing to lose."""


@contextmanager
def one_server_starter(home: Home) -> Iterator[None]:
    """Two who ask at the same moment start one server, and none is started while a run takes its place.

    Whoever holds `core.jobs.supervisor.one_starter` may take this lock too, never the other way round.

    Raises:
        RunError: somebody else held it for a long time.
    """
    busy = "A model server is just being started, or a run is. Try again in a moment."
    with locked(home.root / "servers.lock", _START_SECONDS, busy, RunError):
        yield


def clear_servers(home: Home, gpus: Sequence[str] = ()) -> None:
    """Stop the servers that hold one of these GPUs, or all of them where none are named, and wait until they are gone:
    only then a run finds their memory free.

    Raises:
        RunError: one of them cannot be ended.
    """
    servers = [task for kind in SERVERS for task in tasks_of(home, kind)]
    end_servers(task for task in servers if _in_the_way(task.written_status().gpus, gpus))


def end_servers(servers: Iterable[JobFolder]) -> None:
    """Stop servers and wait until their processes are gone; one that takes long is killed.

    Raises:
        RunError: one of them cannot be ended.
    """
    processes = []
    for server in servers:
        status = server.status()
        if status.live:
            server.stop_request.touch()  # one that has no process yet sees it when it has
        process = server.process(status)
        processes += [process] if process is not None else []
    for process in left_after(processes, _END_SECONDS):
        if not end_tree(process):
            raise RunError(
                f"A model server holds memory that the run needs, and its process {process.pid} does not go away. "
                "Try again in a moment."
            )


def _in_the_way(held: Sequence[str], gpus: Sequence[str]) -> bool:
    """Whether a server that holds some GPUs stands in the way of a run on others; on the processor every one does."""
    return not gpus or not held or not set(held).isdisjoint(gpus)
