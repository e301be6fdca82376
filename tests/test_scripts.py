"""What `make run` says when it cannot start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.paths import PROJECT

ENVIRONMENT = PROJECT / ".venv" / "bin" / "python"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_taken_port_is_answered_with_one_that_is_free(taken_port: int) -> None:
    script = PROJECT / "scripts" / "free_port.py"
    answer = subprocess.run([sys.executable, str(script), str(taken_port)], capture_output=True, text=True, timeout=30)
    assert answer.returncode != 0
    free = int(answer.stdout)
    assert free != taken_port
    assert subprocess.run([sys.executable, str(script), str(free)], capture_output=True, timeout=30).returncode == 0


@pytest.mark.skipif(not ENVIRONMENT.exists(), reason="make has not built its environment")
@pytest.mark.parametrize("port", ["80", "many", "70000"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    answer = _run(port)
    assert answer.returncode == 2
    assert f"PORT is '{port}'" in answer.stderr


@pytest.mark.skipif(not ENVIRONMENT.exists(), reason="make has not built its environment")
def test_a_taken_port_ends_the_start_with_one_sentence(taken_port: int) -> None:
    answer = _run(str(taken_port))
    assert answer.returncode == 2
    assert answer.stderr.strip().startswith(f"Port {taken_port} is taken")
    assert "make run PORT=" in answer.stderr


def _run(port: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PORT": port}
    script = str(PROJECT / "scripts" / "run.sh")
    return subprocess.run([script], capture_output=True, text=True, timeout=60, env=environment, check=False)
