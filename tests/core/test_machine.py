"""What the driver's tool says of GPUs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.machine import Gpu, nvidia_gpus

MIB = 2**20
ANSWER = """0, GPU-aaaa1111, NVIDIA H200, 143771, 143167, 9.0
1, GPU-bbbb2222, NVIDIA A100-SXM4-80GB, 81920, 1024, 8.0
2, GPU-cccc3333, Old card, [N/A], [N/A], [N/A]
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool of the driver's name that answers as it does."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{ANSWER}END\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("driver")
def test_memory_and_capability_are_those_of_the_driver() -> None:
    first = nvidia_gpus()[0]
    assert first == Gpu(0, "NVIDIA H200", 143771 * MIB, 143167 * MIB, 9.0)


@pytest.mark.usefixtures("driver")
def test_what_the_driver_does_not_know_stays_open() -> None:
    assert nvidia_gpus()[2] == Gpu(2, "Old card", 0, 0, None)


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("named", "found"),
    [("1", [1]), ("1,0", [1, 0]), ("GPU-bbbb", [1]), ("", []), ("-1", []), ("MIG-1234", [0, 1, 2])],
)
def test_only_gpus_that_the_environment_lets_through_are_seen(
    named: str, found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert [gpu.index for gpu in nvidia_gpus()] == found


def test_without_a_driver_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_gpus() == ()
