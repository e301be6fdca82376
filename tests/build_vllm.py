"""The model server with `tests.vllm_stand_in` in place of vLLM, in a thread of this process."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.engine.serving import hosting, vllm
from core.errors import ModelError
from core.jobs.tasks import Progress, TaskStopped, create_task
from core.paths import Home
from core.serving.lifetime import ADDRESS, use

SECONDS = 60.0
STAND_IN = ("-m", "tests.vllm_stand_in")


@dataclass
class Started:
    """A server that answers.

    Attributes:
        socket: where the stand-in answers.
        over: set once it has ended.
        ended: why: its result or what it raised.
    """

    folder: Path
    ready: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    socket: Path = Path()
    ended: Any = None

    def client(self) -> httpx.Client:
        """Asks it as whoever has the token does."""
        address = json.loads((self.folder / ADDRESS).read_text(encoding="utf-8"))
        headers = {"Authorization": f"Bearer {address['token']}"}
        return httpx.Client(base_url=address["url"], headers=headers, timeout=SECONDS, trust_env=False)


def server_progress(home: Home) -> Progress:
    """That of a new server task which this process uses."""
    task = create_task(home, "serve_model", {"model": "some/model", "max_rank": 16, "port": 0})
    use(task)
    return Progress(task)


def run_instead(monkeypatch: pytest.MonkeyPatch, *program: str) -> list[Path]:
    """Have Python run another program as vLLM; returns the sockets it is given."""
    given: list[Path] = []

    def command(model: str, rank: int, socket: Path, home: Home, folder: Path) -> list[str]:
        given.append(socket)
        return [sys.executable, *program, str(socket)]

    monkeypatch.setattr(vllm, "_command", command)
    return given


def serve(home: Home, progress: Progress, port: int = 0) -> Any:
    """The task itself."""
    return vllm.serve(home, {"model": "some/model", "max_rank": 16, "port": port}, progress)


@contextmanager
def started(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """A server that answers until the end of the block, and has ended after it."""
    progress, given = server_progress(home), run_instead(monkeypatch, *STAND_IN)
    found, write_address = Started(progress.folder), hosting.write_address

    def then_tell(folder: Path, url: str, token: str) -> None:
        write_address(folder, url, token)
        found.socket = given[0]
        found.ready.set()

    def until_over() -> None:
        try:
            found.ended = serve(home, progress)["ended"]
        except (ModelError, TaskStopped) as error:
            found.ended = error
        finally:
            found.over.set()
            found.ready.set()

    monkeypatch.setattr(hosting, "write_address", then_tell)
    threading.Thread(target=until_over, daemon=True).start()
    try:
        assert found.ready.wait(SECONDS)
        assert not found.over.is_set(), found.ended
        yield found
    finally:
        (progress.folder / "control" / "stop").touch()
        assert found.over.wait(SECONDS)
