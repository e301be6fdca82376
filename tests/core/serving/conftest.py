"""A model server in this process, with the tiny model, and a real client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from core.engine.serving.app import ModelServer
from core.engine.serving.hosting import listening, running
from tests import tiny
from tests.build_model_server import TOKEN, load, save_adapter


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_policy(tmp_path_factory.mktemp("model") / "policy")


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes what the model says."""
    return save_adapter(base, tmp_path_factory.mktemp("adapter") / "one", seed=1)


@pytest.fixture(scope="module")
def served(base: Path) -> Iterator[tuple[ModelServer, str]]:
    """A server of the tiny model, and its address."""
    server = ModelServer.of(load(base))
    with listening(0) as own, running(server.app(TOKEN), own):
        yield server, f"http://127.0.0.1:{own.getsockname()[1]}"
    server.engine.close()


@pytest.fixture
def url(served: tuple[ModelServer, str]) -> str:
    return served[1]


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0) as found:
        yield found
