"""How the studio is served: with safe options whatever the environment says, and a log without keys."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from core.paths import PROJECT

SERVE = PROJECT / "scripts" / "serve.py"


def test_every_script_serves_the_studio_in_the_same_way() -> None:
    for name in ("run.sh", "container.sh"):
        text = (PROJECT / "scripts" / name).read_text()
        assert "scripts/serve.py" in text
        assert "streamlit run" not in text


def test_the_configuration_alone_is_safe() -> None:
    config = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())
    server = config["server"]
    assert server["address"] == "127.0.0.1"
    assert server["enableCORS"] and server["enableXsrfProtection"]
    assert not server["enableStaticServing"] and not server["enableAgentApi"]
    assert server["maxUploadSize"] <= 50
    assert not config["browser"]["gatherUsageStats"]
    assert config["client"]["showErrorDetails"] == "type"


def test_a_setting_that_cannot_be_used_ends_the_start_with_one_sentence() -> None:
    name, value = "GRPO_STUDIO_ALLOWED_ORIGINS", "*"
    command = [sys.executable, str(SERVE), "127.0.0.1", "8501"]
    answer = subprocess.run(command, env={**os.environ, name: value}, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 1
    assert answer.stderr.startswith("The studio does not start: ")
    assert name in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_environment_does_not_weaken_it_and_its_log_holds_no_key(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    weakened = {"STREAMLIT_SERVER_ENABLE_CORS": "false", "STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION": "false"}
    environment = {**os.environ, **weakened, "OWN_API_KEY": "opensesame.example"}
    log = tmp_path / "log"
    with log.open("wb") as file:
        command = [sys.executable, str(SERVE), "127.0.0.1", str(port)]
        served = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        headers = _wait(f"http://127.0.0.1:{port}/_stcore/health", served)
        assert "Access-Control-Allow-Origin" not in headers
        assert _status(port, "opensesame.example") == 403
        assert _status(port, "127.0.0.1") == 200
        assert served.poll() is None
    finally:
        served.send_signal(signal.SIGTERM)
        served.wait(20)
    assert "Refused: " in log.read_text()
    assert "opensesame" not in log.read_text()


def _wait(url: str, served: subprocess.Popen[bytes]) -> Message:
    """The headers of the first answer."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                return answer.headers  # type: ignore[no-any-return]
        except OSError:
            try:
                served.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail("The studio did not start.")
    pytest.fail("The studio did not answer.")


def _status(port: int, host: str) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
