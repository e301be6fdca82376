"""The model server as a task."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from core.engine.serving.hosting import listening
from core.engine.serving.model import serve
from core.errors import ModelError
from core.jobs.tasks import Progress, TaskStopped, create_task
from core.paths import Home
from core.serving import lifetime
from tests.build_model_server import (
    text_of,
)


def test_the_task_says_where_it_answers_and_ends_when_it_is_asked_to(base: Path, tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    task = create_task(home, "serve_model", {"model": str(base), "port": 0})
    lifetime.use(task)
    file = task.folder / lifetime.ADDRESS
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, home, task.arguments(), Progress(task))
        while not file.exists():
            wait([served], 0.05)
            assert not served.done(), served.exception()
        try:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            address = json.loads(file.read_text())
            with OpenAI(base_url=f"{address['url']}/v1", api_key=address["token"], max_retries=0) as client:
                assert text_of(client)
        finally:
            task.stop_request.touch()
        try:
            ended = served.result(60)["ended"]
        except TaskStopped:  # it was asked between two looks
            ended = lifetime.STOPPED
    assert ended == lifetime.STOPPED
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address['url']}/health")


def test_a_port_that_is_taken_is_refused(base: Path, tmp_path: Path) -> None:
    with listening(0) as taken, pytest.raises(ModelError, match="cannot be used"), listening(taken.getsockname()[1]):
        pass
