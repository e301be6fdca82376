"""The model server on a GPU, from its start to its end, and what vLLM is told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from core.engine.serving import vllm
from core.engine.serving.hosting import listening
from core.errors import ModelError
from core.jobs.tasks import TaskStopped
from core.machine import Gpu
from core.paths import Home
from core.serving import lifetime
from core.serving.lifetime import ADDRESS, IDLE_MINUTES
from tests.build_vllm import SECONDS, STAND_IN, run_instead, serve, server_progress, started

GPU = Gpu(0, "NVIDIA H200", 150_000_000_000, 140_000_000_000, 9.0)
HANGS = """
import socket, sys, threading
with socket.socket(socket.AF_UNIX) as own:
    own.bind(sys.argv[1])
    own.listen()
    while True:
        with own.accept()[0] as first:
            if first.recv(65536):
                first.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
                threading.Event().wait()
"""
"""Says once that it is well and nothing from then on."""


def test_it_says_where_it_answers_and_ends_when_it_is_asked_to(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(home, monkeypatch) as server, server.client() as client:
        assert client.get("/health").is_success
    assert server.ended == lifetime.STOPPED or isinstance(server.ended, TaskStopped)


def test_nobody_else_may_enter_where_vllm_answers_and_nothing_of_it_is_left(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(home, monkeypatch) as server:
        assert server.socket.is_socket()
        assert server.socket.parent.stat().st_mode & 0o777 == 0o700
    assert not server.socket.parent.exists()


def test_a_socket_can_be_made_though_the_usual_folder_has_a_long_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with vllm._private_folder() as folder, socket.socket(socket.AF_UNIX) as own:
        own.bind(str(folder / "socket"))


def test_vllm_that_ends_while_it_serves_ends_the_task(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(home, monkeypatch) as server, server.client() as client:
        client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "end"}]})
        assert server.over.wait(SECONDS)
    assert isinstance(server.ended, ModelError)
    assert "vLLM ended while it served" in str(server.ended)


def test_one_that_hangs_counts_as_idle(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, "-c", HANGS)
    monkeypatch.setenv(IDLE_MINUTES, "0.001")
    assert "nobody asked it anything" in serve(home, server_progress(home))["ended"]


def test_a_stranger_at_its_port_is_never_taken_for_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, *STAND_IN)
    progress = server_progress(home)
    with listening(0) as stranger, pytest.raises(ModelError, match="cannot be used"):
        serve(home, progress, port=stranger.getsockname()[1])
    assert not (progress.folder / ADDRESS).exists()


def test_one_that_cannot_start_says_where_its_reasons_stand(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, "-c", "raise SystemExit(3)")
    with pytest.raises(ModelError, match="before it was ready"):
        serve(home, server_progress(home))


def test_it_can_be_stopped_while_it_loads(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, "-c", "import threading; threading.Event().wait()")
    progress = server_progress(home)

    def then_stop(phase: str, done: int = 0, total: int = 0) -> None:
        progress(phase, done, total)
        if phase == "loading the model":
            (progress.folder / "control" / "stop").touch()

    then_stop.folder = progress.folder  # type: ignore[attr-defined]
    with pytest.raises(TaskStopped):
        serve(home, then_stop)  # type: ignore[arg-type]


def command_for(tiny_models: Path, rank: int, home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(vllm, "nvidia_gpus", lambda: (GPU,))
    return vllm._command(str(tiny_models / "policy"), rank, Path("/run/s"), home, folder)


def value_of(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def test_vllm_reads_questions_by_the_studios_own_chat_template(
    home: Home, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_for(tiny_models, 16, home, tmp_path, monkeypatch)
    template = Path(value_of(command, "--chat-template")).read_text(encoding="utf-8")
    assert "<|im_start|>" in template


def test_vllm_has_room_for_the_largest_adapter_and_no_longer_prompts_than_the_model(
    home: Home, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_for(tiny_models, 48, home, tmp_path, monkeypatch)
    assert value_of(command, "--max-lora-rank") == "64"
    assert value_of(command, "--max-model-len") == "2048"


def test_vllm_leaves_memory_that_a_small_model_does_not_need(
    home: Home, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_for(tiny_models, 16, home, tmp_path, monkeypatch)
    assert 0.04 <= float(value_of(command, "--gpu-memory-utilization")) < 0.1


def test_an_adapter_of_a_rank_that_vllm_cannot_hold_is_refused(
    home: Home, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="rank 512 at most"):
        command_for(tiny_models, 1024, home, tmp_path, monkeypatch)


def test_vllm_answers_at_a_socket_alone(
    home: Home, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_for(tiny_models, 16, home, tmp_path, monkeypatch)
    assert value_of(command, "--uds") == "/run/s"
    assert not {"--host", "--port", "--api-key"} & set(command)


def test_a_key_of_other_servers_is_not_wanted_by_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "opensesame")
    environment = vllm._environment("model")
    assert "VLLM_API_KEY" not in environment
    assert environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
