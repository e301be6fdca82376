"""The task "serve_model": one base model, kept warm. It hands over to what serves that model best on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from core.jobs.tasks import Progress
from core.machine import Machine
from core.paths import Home

GGUF = ".gguf"

Serve = Callable[[Home, Mapping[str, Any], Progress], Any]


def serve(home: Home, arguments: Mapping[str, Any], progress: Progress) -> Any:
    """Serve `arguments["model"]` until nobody needs it any more.

    Args:
        arguments: `model`, a name as `core.models.locate` takes it or the path of a .gguf file; `port`, 0 for any free
            one; `max_rank`, the largest rank of an adapter, which vLLM wants to know beforehand.

    Raises:
        ModelError: the model cannot be loaded, or the port is taken.
        TaskStopped: the server was asked to stop.
    """
    # What serves is imported only now: llama.cpp needs no PyTorch, and PyTorch takes seconds and memory.
    work: Serve = import_module(f"core.engine.serving.{server_for(str(arguments['model']), home)}").serve
    return work(home, arguments, progress)


def server_for(model: str, home: Home) -> str:
    """The module of this package that serves a model: `gguf`, `vllm` or `transformers_server`."""
    if model.lower().endswith(GGUF):
        return "gguf"
    if find_spec("vllm") is not None and Machine.inspect(home).has_cuda:
        return "vllm"
    return "transformers_server"
