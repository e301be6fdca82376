"""What each kind of candidate is sent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.config import PromptConfig
from core.errors import ModelError
from core.paths import Home
from core.serving.candidates import Candidate
from core.serving.conversations import conversation

PROMPT = PromptConfig(system="Be brief.", prefill=True)
SYSTEM = {"role": "system", "content": "Be brief."}
QUESTION = {"role": "user", "content": "Why?"}
BEGUN = {"role": "assistant", "content": "<reasoning>"}


@pytest.fixture
def without_system(tiny_models: Path, tmp_path: Path) -> Path:
    """A model whose chat template drops the system message."""
    folder = shutil.copytree(tiny_models / "policy", tmp_path / "policy")
    for file in folder.glob("*.jinja"):
        file.unlink()
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["chat_template"] = (
        "{% for message in messages if message['role'] != 'system' %}{{ message['content'] }}\n{% endfor %}"
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_a_local_model_goes_on_with_its_begun_turn(home: Home, tiny_models: Path) -> None:
    candidate = Candidate(kind="model", model=str(tiny_models / "policy"))
    assert conversation(home, candidate, PROMPT, "Why?") == [SYSTEM, QUESTION, BEGUN]


@pytest.mark.parametrize("run", ["", "demo-1"])
def test_a_model_without_a_system_role_reads_the_system_text_in_the_question(
    home: Home, without_system: Path, run: str
) -> None:
    candidate = Candidate(kind="adapter" if run else "model", model=str(without_system), run=run)
    merged = {"role": "user", "content": "Be brief.\n\nWhy?"}
    assert conversation(home, candidate, PROMPT, "Why?") == [merged, BEGUN]


def test_an_endpoint_gets_finished_turns(home: Home) -> None:
    candidate = Candidate(kind="endpoint", model="m", url="http://localhost:1/v1")
    assert conversation(home, candidate, PROMPT, "Why?") == [SYSTEM, QUESTION]


def test_a_gguf_file_brings_its_own_template(home: Home) -> None:
    candidate = Candidate(kind="gguf", model="/models/x.gguf")
    assert conversation(home, candidate, PROMPT, "Why?") == [SYSTEM, QUESTION, BEGUN]


def test_a_model_that_is_not_there_is_said_to_be(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        conversation(home, Candidate(kind="model", model=str(tmp_path / "none")), PROMPT, "Why?")
