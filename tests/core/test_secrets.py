"""What keeps a process's keys from other processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.engine import vllm_process
from core.engine.serving import gguf
from core.paths import PROJECT, Home
from core.secrets import without_secrets

ALONE = "from core.secrets import hide_environment as begin"
WORKER = """
from pathlib import Path
from core.jobs import tasks, worker
from core.paths import Home
tasks.KINDS = {"nothing": "core.jobs.tasks:silent"}
home = Home.open(Path(sys.argv[1]))
def begin():
    assert worker.main(tasks.create_task(home, "nothing", {}).folder, home.root) == 0
"""
QUEUE = """
from pathlib import Path
from core.jobs import queue
from core.paths import Home
home = Home.open(Path(sys.argv[1]))
def begin():
    queue.main(home.runs / "gone", home.root)
"""
TETHER = """
from core.jobs import tether
def begin():
    assert tether.main([sys.executable, "-c", ""]) == 0
"""
PROGRAM = """
import ctypes, sys
{beginning}
libc = ctypes.CDLL(None)
ordinary = libc.prctl(3, 0, 0, 0, 0)
begin()
print(ordinary, libc.prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/<id>/environ")
@pytest.mark.parametrize("beginning", [ALONE, WORKER, QUEUE, TETHER], ids=["alone", "worker", "queue", "tether"])
def test_a_process_closes_itself_to_others_of_the_same_user(beginning: str, home: Home) -> None:
    command = [sys.executable, "-c", PROGRAM.format(beginning=beginning), str(home.root)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None  # and its input stays open: a tethered one ends with it
        assert process.stdout.read().split() == ["1", "0"]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Keys in the environment of this process."""
    names = {"OPENAI_API_KEY", "GRPO_STUDIO_JUDGE_KEY", "HF_TOKEN", "WANDB_API_KEY", "VLLM_API_KEY"}
    for name in names:
        monkeypatch.setenv(name, "opensesame")
    return names


def test_llama_is_given_its_own_token_and_no_key_of_the_studio(keys: set[str]) -> None:
    given = gguf._environment("its own")
    assert "its own" in given.values() and "PATH" in given
    assert not keys & given.keys()


def test_vllm_is_given_no_key_but_the_hubs_where_it_has_to_download(keys: set[str], tmp_path: Path) -> None:
    assert not keys & vllm_process.environment(str(tmp_path)).keys()
    assert keys & vllm_process.environment("meta-llama/Llama-3.1-8B-Instruct").keys() == {"HF_TOKEN"}


def test_how_tokenizers_work_is_no_secret() -> None:
    assert without_secrets({"TOKENIZERS_PARALLELISM": "false"}) == {"TOKENIZERS_PARALLELISM": "false"}
