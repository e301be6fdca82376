"""Starts, shares and ends servers: tasks that keep a model, or the scorers of a reward, warm and answer over HTTP.

Nothing here waits for a model to load, but for `wait_for`. A server is shared by all who open the same home; each says
that it uses it (`core.serving.lifetime`), and it ends when none of them lives any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import huggingface_hub
import huggingface_hub.errors

from core.errors import ModelError, StudioError
from core.jobs import supervisor
from core.jobs.room import gpu_for_a_task
from core.jobs.server_tasks import clear_servers, end_servers, one_server_starter
from core.jobs.tasks import SERVERS, Task
from core.machine import Machine
from core.models import EMBEDDED, locate
from core.paths import Home
from core.quotas import refuse_full
from core.runs.run import list_runs
from core.serving.candidates import Candidate, adapter_of, allow_candidates, is_gguf, title
from core.serving.endpoint import Endpoint, remote_endpoint
from core.serving.hosted_adapters import host_adapter
from core.serving.lifetime import leave, use
from core.serving.memory import refuse_too_large
from core.serving.server import SCORES, Server, asked_of, by_start, look_at, newest, silent

__all__ = [
    "Server",
    "endpoint_of",
    "ensure",
    "ensure_scores",
    "leave_server",
    "live_server",
    "look_at",
    "score_endpoint",
    "servers",
    "stop",
    "stop_all",
    "wait_for",
]

_MODEL_KIND, _SCORES_KIND = SERVERS
_BASE = "base"
"""The name by which a server knows its model without an adapter."""
_POLL_SECONDS = 0.1


def ensure(home: Home, candidate: Candidate, port: int = 0) -> Server | None:
    """Start the server that a candidate needs when none is live, and return at once; None for a remote endpoint.

    Args:
        port: where a server that is started is to answer; 0 for any free port.

    Raises:
        AccessDenied: whoever acts now may not ask this candidate.
        ModelError: the model does not fit into the memory that is free.
        StorageError: it has to be downloaded, and the studio has taken all the disk that it may.
        StudioError: the candidate's run, adapter or model cannot be used, or the server cannot be started.
    """
    allow_candidates(home, [candidate])
    if candidate.kind == "endpoint":
        return None
    model = _served(candidate.model, home)
    rank = adapter_of(home, candidate).rank if candidate.kind == "adapter" else 0
    with one_server_starter(home):
        task = _usable(newest(home, _MODEL_KIND, model), rank)
        if task is None:
            if not _is_here(model):
                refuse_full(home)
            refuse_too_large(model, home, Machine.inspect(home), gpu_for_a_task(home))
            arguments = {"model": model, "max_rank": max(rank, _largest_rank(home, model)), "port": port}
            task = supervisor.start_task(home, _MODEL_KIND, arguments)
        use(task)
    return look_at(task)


def live_server(home: Home, candidate: Candidate) -> Server | None:
    """The server that a candidate needs, when it lives.

    Raises:
        ModelError: there is no such model.
    """
    if candidate.kind == "endpoint":
        return None
    task = newest(home, _MODEL_KIND, _served(candidate.model, home))
    server = look_at(task) if task is not None else None
    return server if server is not None and server.live else None


def ensure_scores(home: Home) -> Server:
    """Start the server that scores when none is live, and return at once.

    Raises:
        RunError: it cannot be started.
    """
    with one_server_starter(home):
        task = _usable(newest(home, _SCORES_KIND, SCORES))
        if task is None:
            task = supervisor.start_task(home, _SCORES_KIND, {"port": 0})
        use(task)
    return look_at(task)


def endpoint_of(home: Home, candidate: Candidate) -> Endpoint | None:
    """Where a candidate answers; None as long as its server loads. Its adapter is loaded there when it is not yet.

    Nothing is started here.

    Raises:
        ModelError: its server has failed, was stopped, killed or never started, or the adapter cannot be used.
        ConfigError, RunError: the endpoint may not be asked, or the run is gone.
    """
    if candidate.kind == "endpoint":
        return remote_endpoint(candidate.url, candidate.model)
    server = _live(home, _MODEL_KIND, _served(candidate.model, home))
    if server.state == "loading":
        return None
    address, name = server.address(), _BASE
    if candidate.kind == "adapter":
        adapter, called = adapter_of(home, candidate), f"{candidate.run}@{candidate.checkpoint or 'final'}"
        try:
            name = host_adapter(address.url, address.token, called, adapter)
        except httpx.TransportError as error:
            raise ModelError(silent(server)) from error
    return Endpoint(f"{address.url}/v1", address.token, name, local=True)


def score_endpoint(home: Home) -> Endpoint | None:
    """Where answers are scored, without `/v1`; None as long as that server loads.

    Raises:
        ModelError: the server has failed, was stopped, killed or never started.
    """
    server = _live(home, _SCORES_KIND, SCORES)
    if server.state == "loading":
        return None
    address = server.address()
    return Endpoint(address.url, address.token, SCORES, local=True)


def wait_for(
    home: Home, candidate: Candidate, seconds: float, look: Callable[[Server], None] = lambda server: None
) -> Endpoint:
    """Start what a candidate needs and wait until it answers.

    Args:
        seconds: how long to wait at most.
        look: called with the server again and again; it may raise to break the wait off, which ends nothing.

    Raises:
        ModelError: the server failed, or does not answer in time.
        StudioError: as `ensure` and `endpoint_of`.
    """
    server, deadline = ensure(home, candidate), time.monotonic() + seconds
    while (endpoint := endpoint_of(home, candidate)) is None:
        if time.monotonic() > deadline:
            raise ModelError(
                f"{title(candidate)} did not answer within {seconds:.0f} s: its model is still loading. Ask again in a "
                "while."
            )
        if server is not None:
            look(look_at(server.task))
        time.sleep(_POLL_SECONDS)
    return endpoint


def servers(home: Home) -> list[Server]:
    """The servers that live, and those that failed and have not been started again; the oldest comes first."""
    found = {server.model: server for server in map(look_at, by_start(home))}
    return [server for server in found.values() if server.state != "stopped"]


def stop(server: Server) -> None:
    """Ask a server to end; it does so within moments, and answers that are being written break off.

    Raises:
        RunError: it is not live.
    """
    supervisor.stop(server.task)


def stop_all(home: Home) -> None:
    """End all servers and wait until they are gone.

    Raises:
        RunError: one of them cannot be ended.
    """
    clear_servers(home)


def leave_server(server: Server) -> bool:
    """Use a server no longer; when nobody else uses it, it is ended. Returns whether it was.

    Raises:
        RunError: it cannot be ended.
    """
    leave(server.task)
    if server.users:
        return False
    end_servers([server.task])
    return True


def _live(home: Home, kind: str, model: str) -> Server:
    """The server of a model, which this process uses from now on.

    Raises:
        ModelError: it does not live.
    """
    task = newest(home, kind, model)
    if task is None:
        raise ModelError(f"The server of {model} has not been started. Ask again.")
    server = look_at(task)
    if not server.live:
        raise ModelError(server.error)
    use(task)
    return server


def _usable(task: Task | None, rank: int = 0) -> Task | None:
    """The server when it lives and takes adapters of this rank; another one is ended to make room, and is None."""
    if task is None or (look_at(task).live and int(asked_of(task).get("max_rank", 0)) >= rank):
        return task
    end_servers([task])
    return None


def _served(model: str, home: Home) -> str:
    """The one name under which a server keeps a model: that of an embedded one, a whole path, or a Hugging Face id.

    Raises:
        ModelError: there is no such model.
    """
    return model if model in EMBEDDED or is_gguf(model) else locate(model, home)


def _is_here(model: str) -> bool:
    """Whether a model, as `_served` names it, lies on this machine and need not be downloaded."""
    if model in EMBEDDED or Path(model).exists():
        return True
    try:
        folder = Path(huggingface_hub.snapshot_download(model, local_files_only=True))
    except huggingface_hub.errors.LocalEntryNotFoundError:
        return False
    return any(folder.glob("*.safetensors"))


def _largest_rank(home: Home, model: str) -> int:
    """The largest rank among the adapters that a server of this model may be asked for."""
    ranks = [0]
    for run in list_runs(home):
        try:
            config = run.config()
            ranks += [config.adapter.rank] if _served(config.model, home) == model else []
        except StudioError:  # one that is damaged, or whose model is gone, offers nothing
            continue
    return max(ranks)
