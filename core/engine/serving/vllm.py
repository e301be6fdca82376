"""The model server on a GPU: vLLM's own, which holds the base model once for all its adapters.

vLLM speaks the protocol itself, and much more that its own key does not guard. So it answers at a Unix socket in a
folder that nobody else may enter, and this process passes on to it what the protocol has, from whoever has the token.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.routing import Route
from transformers import AutoConfig

from core.chat import ChatModel
from core.engine import vllm_process
from core.engine.policy import explained
from core.engine.serving.front import Front, Upstream
from core.engine.serving.hosting import Clock, host, while_alive
from core.engine.serving.protocol import BASE, HEALTH, protected
from core.engine.vllm_process import Patience, await_healthy
from core.errors import ModelError
from core.jobs.places import gpu_names
from core.jobs.processes import tethered
from core.jobs.tasks import Progress
from core.machine import Gpu, Machine, nvidia_gpus
from core.models import locate
from core.paths import Home
from core.serving.memory import vllm_need

_START_SECONDS = 900.0
_STOP_SECONDS = 15.0
_PATIENCE = Patience(
    _START_SECONDS,
    "vLLM ended before it was ready. What it said last stands in the server's log.",
    f"vLLM was not ready after {_START_SECONDS / 60:.0f} minutes. Its log says why.",
)
_ENDED = "vLLM ended while it served. What it said last stands in the server's log; ask again to start it anew."
_URL = "http://vllm"
"""The host, which HTTP wants to be named; the socket decides who is asked."""
_LONGEST_FOLDER = 80
"""Bytes of a folder's path that leave room for a socket below it, whose path has 107 at most."""
_LONGEST = 8192
"""Tokens of one prompt with its answer that the server has room for, where the model can read so many."""
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks for which vLLM can make room."""
_ADAPTERS = 4
"""How many adapters can be asked at the same moment; more are exchanged in turn."""
_BFLOAT_CAPABILITY = 8.0
"""NVIDIA's compute capability from which on bfloat16 is computed in hardware."""


def serve(home: Home, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The task "serve_model" where vLLM and a GPU are there.

    Args:
        arguments: `model`, `max_rank` and `port` as `core.serving.servers` gives them.

    Returns:
        Why the server ended.

    Raises:
        ModelError: vLLM cannot serve this model, or has ended while it served; what it said stands in the task's log.
            Or the port is taken.
        TaskStopped: the server was asked to stop.
    """
    token, clock = secrets.token_urlsafe(32), Clock()
    progress("starting vLLM")
    with _private_folder() as private:
        socket = private / "socket"
        command = _command(str(arguments["model"]), int(arguments["max_rank"]), socket, home, progress.folder)
        with tethered(command, _environment(locate(str(arguments["model"]), home)), _STOP_SECONDS) as process:
            await_healthy(process, _URL, _PATIENCE, lambda: progress("loading the model"), socket)
            app = protected(_routes(Front(Upstream("vLLM", _URL, socket=socket), clock)), token)
            asked = while_alive(process, clock, _ENDED)
            return host(app, token, progress, asked, int(arguments.get("port") or 0))


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only this user may enter, for the length of a `with` block. Its path has room for a socket's."""
    usual = tempfile.gettempdir()
    short = usual if len(os.fsencode(usual)) <= _LONGEST_FOLDER else "/tmp"
    with tempfile.TemporaryDirectory(prefix="vllm-", dir=short, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _routes(front: Front) -> list[Route]:
    """All that reaches vLLM, which answers far more than anybody has to ask here, such as to be paused."""
    return [
        Route(HEALTH, front.look),
        Route("/v1/models", front.look),
        Route("/v1/chat/completions", front.ask, methods=["POST"]),
        Route("/v1/load_lora_adapter", front.ask, methods=["POST"]),
        Route("/v1/unload_lora_adapter", front.ask, methods=["POST"]),
    ]


def _command(model: str, rank: int, socket: Path, home: Home, folder: Path) -> list[str]:
    gpu = nvidia_gpus()[0]  # of those that this job was given
    template = folder / "chat_template.jinja"
    template.write_text(ChatModel.open(model, home).template.source, encoding="utf-8")
    return vllm_process.command(
        locate(model, home),
        *("--uds", str(socket), "--served-model-name", BASE),
        *("--chat-template", str(template), "--generation-config", "vllm"),
        *("--enable-lora", "--max-lora-rank", str(_room_for(rank)), "--max-loras", str(_ADAPTERS)),
        *("--max-model-len", str(_length(model, home))),
        *("--dtype", "bfloat16" if (gpu.capability or 0) >= _BFLOAT_CAPABILITY else "float16"),
        *("--gpu-memory-utilization", f"{_share(model, home, gpu):.3f}"),
    )


def _room_for(rank: int) -> int:
    """The least rank for which vLLM makes room that holds `rank`.

    Raises:
        ModelError: the adapter's rank is too large for vLLM.
    """
    found = next((room for room in _RANKS if room >= rank), None)
    if found is None:
        raise ModelError(f"vLLM answers with adapters of rank {_RANKS[-1]} at most, and this one's is {rank}.")
    return found


def _length(model: str, home: Home) -> int:
    """How many tokens a prompt and its answer may have together."""
    with explained(model, "causal language model"):
        config = AutoConfig.from_pretrained(locate(model, home)).get_text_config()
    return min(_LONGEST, getattr(config, "max_position_embeddings", _LONGEST))


def _share(model: str, home: Home, gpu: Gpu) -> float:
    """The share of the GPU's memory that vLLM may take, as it was reckoned with before this server was started."""
    return vllm_need(model, home, Machine.inspect(home), gpu, gpu_names([gpu])).takes / gpu.memory_bytes


def _environment(model: str) -> dict[str, str]:
    return vllm_process.environment(model, VLLM_ALLOW_RUNTIME_LORA_UPDATING="True")
