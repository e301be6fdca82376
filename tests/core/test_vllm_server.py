"""Waiting for a vLLM server: what stands for it here is a small process without vLLM."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.config import RunConfig
from core.engine import vllm_server
from core.engine.reporting import Stopped
from core.engine.vllm_server import serving
from core.errors import ModelError
from core.jobs.places import SERVER_GPUS
from core.paths import Home

HEALTHY = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
"""


@pytest.fixture
def compute(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(SERVER_GPUS, "1")
    return SimpleNamespace(generation="vllm_server")


def run_instead(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    def command(config: RunConfig, home: Home, url: str, gpus: list[str]) -> list[str]:
        return [sys.executable, "-c", program, url.rpartition(":")[2]]

    monkeypatch.setattr(vllm_server, "_command", command)


def look() -> None:
    pass


def test_a_server_that_answers_is_waited_for(
    compute: Any, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, HEALTHY)
    with serving(tiny_config, compute, home, Path("worker.log")) as await_server:
        await_server(look)


def test_a_server_that_has_ended_is_told_at_once_with_where_to_read_why(
    compute: Any, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, "raise SystemExit(1)")
    with (
        pytest.raises(ModelError, match=r"ended before it was ready.*worker\.log"),
        serving(tiny_config, compute, home, Path("worker.log")) as await_server,
    ):
        await_server(look)


def test_a_server_that_never_answers_is_not_waited_for_without_end(
    compute: Any, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, "import threading; threading.Event().wait()")
    monkeypatch.setattr(vllm_server, "_START_SECONDS", 0.0)
    with (
        pytest.raises(ModelError, match=r"was not ready.*worker\.log"),
        serving(tiny_config, compute, home, Path("worker.log")) as await_server,
    ):
        await_server(look)


def test_a_stop_breaks_the_wait_off(
    compute: Any, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, "import threading; threading.Event().wait()")

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped), serving(tiny_config, compute, home, Path("worker.log")) as await_server:
        await_server(stop)
