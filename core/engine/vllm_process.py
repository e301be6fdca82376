"""vLLM's own server as a child of this process: how it is started, and how it is waited for."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from core.errors import ModelError
from core.secrets import without_secrets

_POLL_SECONDS = 0.5
_NOT_PASSED_ON = re.compile(
    r"MASTER_|(LOCAL_|GROUP_|ROLE_)?(RANK|WORLD_SIZE)$|GROUP_WORLD|ROLE_|TORCHELASTIC_|ACCELERATE_"
)
"""What this process has for itself: its group of training processes and where that meets."""


def command(model: str, *options: str) -> list[str]:
    """What starts vLLM's server.

    Args:
        model: a folder or a name that vLLM can load.
    """
    return [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model, *options]


def environment(model: str, **further: str) -> dict[str, str]:
    """The environment of vLLM's server, which tells its makers nothing of what it is used for.

    Others may read it, so it holds no key; but for that of the Hugging Face Hub where `model` is to be downloaded.
    """
    known = without_secrets(os.environ, downloads=not Path(model).is_dir())
    common = {name: value for name, value in known.items() if not _NOT_PASSED_ON.match(name)}
    return {**common, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", **further}


@dataclass(frozen=True)
class Patience:
    """How long to wait for vLLM, which takes one to several minutes on a GPU.

    Attributes:
        seconds: after which it is waited for no longer.
        ended: the sentence for people where it has ended instead.
        late: the sentence where it was not ready in time.
    """

    seconds: float
    ended: str
    late: str


def await_healthy(
    process: subprocess.Popen[bytes],
    url: str,
    patience: Patience,
    look: Callable[[], None],
    path: Path | None = None,
) -> None:
    """Wait until vLLM can be asked.

    Args:
        look: is called every half second, and may raise to break the wait off.
        path: the Unix socket at which it answers, in place of the host and port of `url`.

    Raises:
        ModelError: it has ended, or is not ready in time.
    """
    end = time.monotonic() + patience.seconds
    transport = httpx.HTTPTransport(verify=False, trust_env=False, uds=str(path) if path else None)
    with httpx.Client(transport=transport, trust_env=False) as client:
        while not (_listens(path) and _healthy(client, url)):
            look()
            if process.poll() is not None:
                raise ModelError(patience.ended)
            if time.monotonic() > end:
                raise ModelError(patience.late)
            time.sleep(_POLL_SECONDS)


def _listens(path: Path | None) -> bool:
    """Whether somebody listens at a Unix socket.

    Asked on its own, as httpcore never closes a socket that it could not connect.
    """
    if path is None:
        return True
    with socket.socket(socket.AF_UNIX) as trial:
        return trial.connect_ex(os.fspath(path)) == 0


def _healthy(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/health").is_success
    except httpx.TransportError:  # nobody listens yet
        return False
