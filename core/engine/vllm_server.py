"""vLLM as the writer of completions: in the training process, or as a server on GPUs of its own.

TRL talks to both and keeps their weights equal to the policy's. A server is a child of the job, on the loopback
address only, and ends with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.engine.device import Compute
from core.engine.vllm_process import Patience, await_healthy, command, environment
from core.errors import ModelError
from core.jobs.places import SERVER_GPUS
from core.jobs.processes import tethered
from core.models import locate
from core.paths import Home
from core.ports import LOOPBACK, free_port

_START_SECONDS = 600.0
_STOP_SECONDS = 20.0
_PROMPT_ROOM = 8
"""Tokens beside prompt and completion that vLLM is given room for."""

AwaitServer = Callable[[Callable[[], None]], None]


def vllm_settings(config: RunConfig, compute: Compute) -> dict[str, Any]:
    """The fields of TRL's GRPOConfig that have to do with vLLM; none where the policy writes for itself."""
    if compute.generation == "plain":
        return {}
    common: dict[str, Any] = {"use_vllm": True, "vllm_max_model_length": model_length(config)}
    if compute.generation == "vllm":
        return {**common, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": config.train.vllm_memory}
    return {
        **common,
        "vllm_mode": "server",
        "vllm_server_base_url": os.environ.get(_SERVER_URL, f"http://{LOOPBACK}:8000"),
        "vllm_server_timeout": _START_SECONDS,
        "vllm_group_port": free_port(),
    }


_SERVER_URL = "GRPO_STUDIO_VLLM_SERVER"


def model_length(config: RunConfig) -> int:
    """Tokens that vLLM must be able to hold of one completion with its prompt."""
    return config.train.max_prompt_length + config.train.max_completion_length + _PROMPT_ROOM


@contextmanager
def serving(config: RunConfig, compute: Compute, home: Home, log: Path) -> Iterator[AwaitServer]:
    """Run a vLLM server for the length of a `with` block where the run wants one.

    Args:
        log: where the server writes what it says, for messages.

    Returns:
        What waits until the server answers; it returns at once where there is none. It calls its argument every half
        second, which may raise to break the wait off.

    Raises:
        ModelError: there is no GPU for it; or, from what waits, it has ended or does not answer in time.
    """
    if compute.generation != "vllm_server":
        yield lambda look: None
        return
    gpus = os.environ.get(SERVER_GPUS, "")
    if not gpus:
        raise ModelError("A vLLM server needs a GPU of its own and none is left for it. Choose vLLM in the process.")
    url = f"http://{LOOPBACK}:{free_port()}"
    os.environ[_SERVER_URL] = url
    try:
        with tethered(
            _command(config, home, url, gpus.split(",")), _environment(config, home, gpus), _STOP_SECONDS
        ) as process:
            yield lambda look: await_healthy(process, url, _patience(log), look)
    finally:
        os.environ.pop(_SERVER_URL, None)


def _patience(log: Path) -> Patience:
    return Patience(
        _START_SECONDS,
        f"The vLLM server ended before it was ready. What it said last stands in {log.name} of the run. "
        'Choose "plain" or "vllm" as train.generation if it cannot work here.',
        f"The vLLM server was not ready after {_START_SECONDS / 60:.0f} minutes. What it said last stands in "
        f"{log.name} of the run. Start the run again, or choose another train.generation.",
    )


def _command(config: RunConfig, home: Home, url: str, gpus: list[str]) -> list[str]:
    return command(
        locate(config.model, home),
        *("--host", LOOPBACK, "--port", url.rpartition(":")[2]),
        *("--weight-transfer-config", json.dumps({"backend": "nccl"})),
        *("--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1"),
        *("--max-model-len", str(model_length(config))),
        *("--tensor-parallel-size", str(len(gpus))),
        *("--gpu-memory-utilization", "0.8", "--dtype", "bfloat16"),
    )


def _environment(config: RunConfig, home: Home, gpus: str) -> dict[str, str]:
    """The weights are sent through endpoints that vLLM opens in its development mode only."""
    model = locate(config.model, home)
    return environment(model, CUDA_VISIBLE_DEVICES=gpus, VLLM_SERVER_DEV_MODE="1", VLLM_HOST_IP=LOOPBACK)
