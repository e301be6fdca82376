"""The whole way with a real model in a real process: start, ask the base and a run's adapter, make room for a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from core.jobs import supervisor
from core.paths import Home
from core.runs.run import Run
from core.serving.candidates import Candidate, adapter_candidate
from core.serving.endpoint import Endpoint
from core.serving.server import by_start
from core.serving.servers import servers, stop_all, wait_for
from tests.build_adapters import run_of
from tests.build_servers import lives

LONG = 300.0


@pytest.fixture(autouse=True)
def none_left(home: Home) -> Iterator[None]:
    yield
    stop_all(home)


@pytest.fixture
def run(home: Home, tiny_models: Path) -> Run:
    """A run whose adapter changes what the tiny policy says."""
    run = run_of(home, tiny_models / "policy", rank=8)
    model = AutoModelForCausalLM.from_pretrained(tiny_models / "policy")
    config = LoraConfig(r=8, lora_alpha=256, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(run.adapter)
    return run


def said_by(endpoint: Endpoint) -> str:
    """The likeliest answer to one question."""
    with OpenAI(base_url=endpoint.base_url, api_key=endpoint.key, max_retries=0) as client:
        answer = client.chat.completions.create(
            model=endpoint.model,
            messages=[{"role": "user", "content": "What is sepsis?"}],
            temperature=0,
            max_tokens=12,
        )
    return answer.choices[0].message.content or ""


def test_base_and_adapter_answer_from_one_server_that_makes_room_for_a_run(
    home: Home, run: Run, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = wait_for(home, Candidate(kind="model", model=str(tiny_models / "policy")), LONG)
    adapter = wait_for(home, adapter_candidate(run), LONG)
    assert adapter.base_url == base.base_url and len(by_start(home)) == 1
    assert said_by(base) == said_by(base) != said_by(adapter)
    (server,) = servers(home)
    pid = server.task.written_status().pid
    monkeypatch.setattr(supervisor, "spawn", lambda job, home: None)
    supervisor.start_job(home, run, ())
    assert not lives(pid)
