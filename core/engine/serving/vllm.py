"""The model server on a GPU: vLLM's own, which holds the base model once for all its adapters.

vLLM speaks the protocol itself and is asked without anything in between. This process starts it, says when it is ready,
and sees from its metrics whether it is still asked anything.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from transformers import AutoConfig

from core.chat import ChatModel
from core.engine.policy import explained
from core.errors import ModelError
from core.jobs.processes import tethered
from core.jobs.tasks import Progress
from core.machine import Gpu, nvidia_gpus
from core.models import locate
from core.paths import Home
from core.ports import LOOPBACK, free_port
from core.serving.lifetime import Lifetime, write_address
from core.training.model_shape import ModelShape, model_shape

_START_SECONDS = 900.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.5
_LONGEST = 8192
"""Tokens of one prompt with its answer that the server has room for, where the model can read so many."""
_CACHED_TOKENS = 65_536
"""Tokens of all answers that are being written, for which the server asks room beside the weights."""
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks for which vLLM can make room."""
_ADAPTERS = 4
"""How many adapters can be asked at the same moment; more are exchanged in turn."""
_WORKING_BYTES = 6_000_000_000
"""What vLLM takes beside weights and keys and values: its graphs and activations."""
_MOST = 0.92
"""The share of what is free that vLLM takes at most."""
_BFLOAT_CAPABILITY = 8.0
"""NVIDIA's compute capability from which on bfloat16 is computed in hardware."""
_RUNNING = ("vllm:num_requests_running", "vllm:num_requests_waiting")


def serve(home: Home, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The task "serve_model" where vLLM and a GPU are there.

    Args:
        arguments: `model`, `max_rank` and `port` as `core.serving.servers` gives them.

    Returns:
        Why the server ended.

    Raises:
        ModelError: vLLM cannot serve this model; what it said stands in the task's log.
    """
    port, token = int(arguments.get("port") or free_port()), secrets.token_urlsafe(32)
    url = f"http://{LOOPBACK}:{port}"
    command = _command(str(arguments["model"]), int(arguments["max_rank"]), port, home, progress.folder)
    progress("starting vLLM")
    with tethered(command, _environment(token), _STOP_SECONDS) as process:
        _await(process, url, progress)
        write_address(progress.folder, url, token)
        progress("ready")
        return {"ended": _serve_until_over(process, url, Lifetime(progress.folder))}


def _await(process: subprocess.Popen[bytes], url: str, progress: Progress) -> None:
    start = time.monotonic()
    while not _healthy(url):
        seconds = time.monotonic() - start
        progress("loading the model")
        if process.poll() is not None:
            raise ModelError("vLLM ended before it was ready. What it said last stands in the server's log.")
        if seconds > _START_SECONDS:
            raise ModelError(f"vLLM was not ready after {_START_SECONDS / 60:.0f} minutes. Its log says why.")
        time.sleep(_POLL_SECONDS)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.TransportError:  # nobody listens yet
        return False


def _serve_until_over(process: subprocess.Popen[bytes], url: str, lifetime: Lifetime) -> str:
    """Returns why it is over.

    Raises:
        ModelError: vLLM has ended by itself.
    """
    last_request, counted = time.time(), -1.0
    while not lifetime.over(last_request):
        if process.poll() is not None:
            raise ModelError(
                "vLLM ended while it served. What it said last stands in the server's log; start it again."
            )
        busy, finished = _activity(url)
        if busy or finished != counted:
            last_request, counted = time.time(), finished
        time.sleep(1.0)
    return lifetime.reason


def _activity(url: str) -> tuple[bool, float]:
    """Whether answers are being written, and how many have been finished so far."""
    try:
        told = httpx.get(f"{url}/metrics", trust_env=False, timeout=5.0).text
    except httpx.HTTPError:  # too busy to say
        return True, 0.0
    samples = [sample for family in text_string_to_metric_families(told) for sample in family.samples]
    running = sum(sample.value for sample in samples if sample.name in _RUNNING)
    return running > 0, sum(sample.value for sample in samples if sample.name == "vllm:request_success_total")


def _command(model: str, rank: int, port: int, home: Home, folder: Path) -> list[str]:
    gpu = nvidia_gpus()[0]  # of those that this job was given
    template = folder / "chat_template.jinja"
    template.write_text(ChatModel.open(model, home).template.source, encoding="utf-8")
    return [
        sys.executable,
        *("-m", "vllm.entrypoints.cli.main", "serve", locate(model, home)),
        *("--host", LOOPBACK, "--port", str(port), "--served-model-name", "base"),
        *("--chat-template", str(template), "--generation-config", "vllm"),
        *("--enable-lora", "--max-lora-rank", str(_room_for(rank)), "--max-loras", str(_ADAPTERS)),
        *("--max-model-len", str(_length(model, home))),
        *("--dtype", "bfloat16" if (gpu.capability or 0) >= _BFLOAT_CAPABILITY else "float16"),
        *("--gpu-memory-utilization", f"{_share(model_shape(model, home), gpu):.3f}"),
    ]


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


def _share(shape: ModelShape | None, gpu: Gpu) -> float:
    """The share of the GPU's memory that vLLM may take: what it needs, so that others find room beside it."""
    most = _MOST * gpu.free_bytes / gpu.memory_bytes
    if shape is None:
        return most
    needed = 2 * (shape.parameters + _CACHED_TOKENS * 2 * shape.key_value * shape.layers) + _WORKING_BYTES
    return min(most, needed / gpu.memory_bytes)


def _environment(token: str) -> dict[str, str]:
    common = {name: value for name, value in os.environ.items() if name not in ("MASTER_ADDR", "MASTER_PORT")}
    return {
        **common,
        "VLLM_API_KEY": token,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
