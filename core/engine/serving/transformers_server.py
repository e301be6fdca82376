"""Serves a model with transformers and PEFT: on a processor, or on a GPU where vLLM is not installed."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import psutil

from core.engine.device import Compute, choose_compute
from core.engine.policy import Policy, load_policy
from core.engine.serving.app import ModelServer
from core.engine.serving.hosting import host
from core.jobs.tasks import Progress
from core.models import locate
from core.paths import Home

_LOOK_SECONDS = 0.3


def serve(home: Home, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Load the model and answer until nobody needs it any more; as `core.engine.serving.model.serve`.

    Raises:
        ModelError: the model cannot be loaded, or the port is taken.
        TaskStopped: the server was asked to stop.
    """
    policy = _loaded(str(arguments["model"]), home, choose_compute(), progress)
    server, token = ModelServer.of(policy), secrets.token_urlsafe(32)
    try:
        return host(server.app(token), token, progress, server.clock, int(arguments.get("port", 0)))
    finally:
        server.engine.close()


def _loaded(name: str, home: Home, compute: Compute, progress: Progress) -> Policy:
    """Load the model, telling how much of it is in memory; a thread does, so that a stop need not wait for it."""
    loading: Future[Policy] = Future()
    threading.Thread(target=_load, args=(loading, name, home, compute), name="loading", daemon=True).start()
    before, size = _memory(), _weights_bytes(name, home)
    while not loading.done():
        progress("loading the model", max(0, min(_memory() - before, size)), size)
        wait([loading], _LOOK_SECONDS)
    return loading.result()


def _load(loading: Future[Policy], name: str, home: Home, compute: Compute) -> None:
    try:
        loading.set_result(load_policy(name, home, compute))
    except BaseException as error:  # raised again by whoever waits for the model
        loading.set_exception(error)


def _memory() -> int:
    return int(psutil.Process().memory_info().rss)


def _weights_bytes(name: str, home: Home) -> int:
    """The size of a model's weights on disk; 0 where it has yet to be downloaded."""
    return sum(file.stat().st_size for file in Path(locate(name, home)).glob("*.safetensors"))
