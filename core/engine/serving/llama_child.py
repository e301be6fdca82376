"""`python -m core.engine.serving.llama_child SETTINGS`: llama.cpp's own server, in a process that may crash alone.

llama.cpp ends its whole process where it meets a fault of its own, so it never runs in the process of a task. SETTINGS
is a `LlamaSettings` as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import xllamacpp

from core.engine.serving.llama_settings import TOKEN, LlamaSettings
from core.paths import write_json
from core.ports import LOOPBACK


def main(settings: LlamaSettings) -> None:
    """Answer until this process is ended."""
    token = os.environ.pop(TOKEN)
    _print_to(Path(settings.log))
    server = xllamacpp.Server(_parameters(settings, token))
    write_json(Path(settings.address), {"url": server.listening_address})
    threading.Event().wait()


def _parameters(settings: LlamaSettings, token: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = settings.model
    parameters.n_parallel = settings.slots
    parameters.n_ctx = settings.slots * settings.context
    parameters.kv_unified = False  # each slot keeps the room it has been promised
    parameters.cpuparams.n_threads = settings.threads
    parameters.cpuparams_batch.n_threads = settings.batch_threads
    parameters.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_MMAP  # never locked: it must be able to give way
    parameters.cache_ram_mib = 0  # each slot keeps its last question; otherwise gigabytes of older ones are kept
    parameters.cache_idle_slots = False
    parameters.hostnames = [LOOPBACK]
    parameters.port = 0
    parameters.api_keys = [token]
    parameters.ui = parameters.endpoint_slots = parameters.endpoint_props = False
    parameters.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    parameters.verbosity = 2  # errors and warnings; nothing of questions or answers
    return parameters


def _print_to(log: Path) -> None:
    """Send what this process prints, llama.cpp's own code too, to a file."""
    with log.open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())


if __name__ == "__main__":
    main(LlamaSettings(**json.loads(sys.argv[1])))
