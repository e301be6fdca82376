"""The model server on a GPU: what stands for vLLM here is a small process that says how it is and what it does."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from core.engine.serving import vllm
from core.errors import ModelError
from core.jobs.folder import JobFolder
from core.jobs.tasks import Progress, TaskStopped, create_task
from core.machine import Gpu
from core.paths import Home
from core.serving import lifetime
from core.serving.lifetime import ADDRESS, use

GPU = Gpu(0, "NVIDIA H200", 150_000_000_000, 140_000_000_000, 9.0)
STANDS_IN = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path == "/metrics":
            self.wfile.write(METRICS)
    def log_message(self, *_):
        pass
METRICS = b'''# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="base"} 2.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{model_name="base"} 0.0
# TYPE vllm:request_success counter
vllm:request_success_total{finished_reason="stop"} 3.0
vllm:request_success_total{finished_reason="length"} 4.0
'''
HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
"""


@pytest.fixture
def progress(home: Home) -> Progress:
    task = create_task(home, "serve_model", {"model": "m", "max_rank": 16, "port": 0})
    use(task)
    return Progress(task)


def run_instead(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    def command(model: str, rank: int, port: int, home: Home, folder: Path) -> list[str]:
        return [sys.executable, "-c", program, str(port)]

    monkeypatch.setattr(vllm, "_command", command)


def serve(home: Home, progress: Progress) -> Any:
    return vllm.serve(home, {"model": "m", "max_rank": 16, "port": 0}, progress)


def test_it_says_where_it_answers_and_ends_when_it_is_asked_to(
    home: Home, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, STANDS_IN)
    job = JobFolder(progress.folder)
    answering = threading.Event()

    def then_stop() -> None:
        while job.written_status().phase != "ready":
            pass
        if (progress.folder / ADDRESS).exists():
            answering.set()
        job.stop_request.touch()

    threading.Thread(target=then_stop, daemon=True).start()
    assert serve(home, progress) == {"ended": lifetime.STOPPED}
    assert answering.is_set()


def test_one_that_cannot_start_says_where_its_reasons_stand(
    home: Home, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(ModelError, match="before it was ready"):
        serve(home, progress)


def test_it_can_be_stopped_while_it_loads(home: Home, progress: Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, "import time; time.sleep(600)")
    (progress.folder / "control" / "stop").touch()
    with pytest.raises(TaskStopped):
        serve(home, progress)


def test_what_it_writes_and_has_written_is_read_from_its_metrics(
    home: Home, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, STANDS_IN)
    seen: list[tuple[bool, float]] = []

    def once(process: Any, url: str, life: Any) -> str:
        seen.append(vllm._activity(url))
        return "seen"

    monkeypatch.setattr(vllm, "_serve_until_over", once)
    assert serve(home, progress) == {"ended": "seen"}
    assert seen == [(True, 7.0)]


def command_for(tiny_models: Path, rank: int, home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(vllm, "nvidia_gpus", lambda: (GPU,))
    return vllm._command(str(tiny_models / "policy"), rank, 8123, home, folder)


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


def test_the_token_is_not_among_the_arguments_that_everybody_on_the_machine_can_read(
    home: Home, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_for(tiny_models, 16, home, tmp_path, monkeypatch)
    assert "--api-key" not in command
    assert vllm._environment("secret")["VLLM_API_KEY"] == "secret"
