"""The model server of a GGUF file: llama.cpp in a process of its own, asked through this one.

llama.cpp speaks OpenAI's protocol itself, with the chat template and the end token that the file names. `llama_front`
holds it to what all servers of the studio have in common.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from core.engine.serving.front import Front, Upstream
from core.engine.serving.gguf_file import GgufFile, Slots, read_gguf, slots
from core.engine.serving.hosting import Clock, host, while_alive
from core.engine.serving.llama_front import LlamaFront
from core.engine.serving.llama_settings import TOKEN, LlamaSettings
from core.engine.serving.protocol import protected
from core.errors import ModelError, OutOfMemory, lacks_memory
from core.jobs.processes import tethered
from core.jobs.tasks import Progress, Tell
from core.machine import cpu_cores
from core.paths import Home
from core.secrets import without_secrets

PACKAGE = "xllamacpp==2026.10.11549"

_POLL_SECONDS = 0.1
_ENDED = (
    "llama.cpp ended while it served. What it said last stands in llama.log of the server's folder; ask again to start "
    "it anew."
)
_MEGABYTE = 1_000_000
_UNKNOWN_ARCHITECTURE = re.compile(r"unknown model architecture: '([^']{1,60})'")
_INCOMPLETE = re.compile(r"corrupted or incomplete|not within the file bounds|failed to read")
_NOT_ALLOCATED = re.compile(r"failed to allocate|unable to allocate|bad_alloc")
_KILLED, _UNKNOWN_INSTRUCTION = 137, 132
"""Exit codes of processes that were ended by SIGKILL, as where memory runs out, and by SIGILL."""


def serve(home: Home, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The task "serve_model" for a GGUF file.

    Args:
        arguments: `model`, the path of the file, and `port`, 0 for any free one.

    Returns:
        Why the server ended.

    Raises:
        ModelError: llama.cpp is not installed, or cannot load this file; or it has ended while it served.
        OutOfMemory: memory ran out while it loaded.
        TaskStopped: the server was asked to stop.
    """
    progress("reading the file")
    file = read_gguf(Path(str(arguments["model"])))
    if find_spec("xllamacpp") is None:
        raise ModelError(
            f"GGUF files are answered by llama.cpp, which is not installed. Run: .venv/bin/pip install {PACKAGE}"
        )
    room, token = slots(file, psutil.virtual_memory().available), secrets.token_urlsafe(32)
    with running(file, room, progress.folder, progress) as llama:
        clock = Clock()
        front = LlamaFront(Front(Upstream("llama.cpp", llama.url, llama.token), clock), room.context)
        asked = while_alive(llama.process, clock, _ENDED)
        return host(protected(front.routes, token), token, progress, asked, int(arguments.get("port") or 0))


@dataclass(frozen=True)
class Llama:
    """llama.cpp's own server, with a file loaded.

    Attributes:
        process: stands for the one that it runs in.
        url, token: where it answers, and whom.
    """

    process: subprocess.Popen[bytes]
    url: str
    token: str


@contextmanager
def running(file: GgufFile, room: Slots, folder: Path, tell: Tell) -> Iterator[Llama]:
    """llama.cpp with this file for the length of a `with` block.

    Args:
        folder: gets its log and its address.
        tell: told how much is loaded; what it raises ends the loading.

    Raises:
        ModelError: llama.cpp cannot load this file.
        OutOfMemory: memory ran out while it loaded.
    """
    token = secrets.token_urlsafe(32)
    settings = _settings(file, room, folder)
    command = [sys.executable, "-m", "core.engine.serving.llama_child", json.dumps(asdict(settings))]
    with tethered(command, _environment(token)) as process:
        yield Llama(process, _await(process, file, settings, tell), token)


def _settings(file: GgufFile, room: Slots, folder: Path) -> LlamaSettings:
    cores = min(psutil.cpu_count(logical=False) or cpu_cores(), cpu_cores())
    return LlamaSettings(
        model=str(file.path),
        slots=room.count,
        context=room.context,
        # All threads wait for the last one hundreds of times a token: with every core taken, any other program that
        # computes makes an answer ten times slower.
        threads=max(1, cores - 1),
        batch_threads=cores,
        address=str(folder / "llama.json"),
        log=str(folder / "llama.log"),
    )


def _environment(token: str) -> dict[str, str]:
    """Threads that wait must sleep: where other jobs compute, threads that spin make it thirty times slower."""
    return {**without_secrets(os.environ), "OMP_WAIT_POLICY": "PASSIVE", TOKEN: token}


def _await(process: subprocess.Popen[bytes], file: GgufFile, settings: LlamaSettings, tell: Tell) -> str:
    """Where llama.cpp answers, once it does."""
    address, total = Path(settings.address), file.weight_bytes // _MEGABYTE
    while not address.is_file():
        tell("loading the model", min(_loaded_bytes(process) // _MEGABYTE, total), total)
        code = process.poll()
        if code is not None:
            raise _why(code, file, Path(settings.log))
        time.sleep(_POLL_SECONDS)
    url: str = json.loads(address.read_text(encoding="utf-8"))["url"]
    return url


def _loaded_bytes(process: subprocess.Popen[bytes]) -> int:
    """How much memory it takes by now, which grows to the size of the file while it loads."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return max((child.memory_info().rss for child in children), default=0)
    except psutil.Error:  # it has just ended
        return 0


def _why(code: int, file: GgufFile, log: Path) -> ModelError | OutOfMemory:
    """Why llama.cpp ended before it answered, told by its exit code and by what it has said."""
    said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    name, unknown = file.path.name, _UNKNOWN_ARCHITECTURE.search(said)
    if unknown:
        return ModelError(
            f"{name} holds a model of the kind {unknown[1]!r}, which the installed llama.cpp cannot run. Choose "
            "another model, or install a newer xllamacpp."
        )
    if _INCOMPLETE.search(said):
        return ModelError(f"{name} is damaged or only a part of a GGUF file. Copy or export it again.")
    if code == _KILLED or _NOT_ALLOCATED.search(said) or lacks_memory(RuntimeError(said)):
        return OutOfMemory(
            f"There was not enough memory to load {name}. Stop other model servers, wait until the run that is going "
            "on has ended, or choose a smaller file."
        )
    if code == _UNKNOWN_INSTRUCTION:
        return ModelError(
            "The installed llama.cpp needs a processor with AVX2, and this one has none. Install an xllamacpp that was "
            "built on this machine."
        )
    return ModelError(
        f"llama.cpp cannot load {name}. What it said stands in llama.log of the server's folder. Export the file "
        "again, or choose another one."
    )
