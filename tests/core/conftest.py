"""A home with tiny models, built once, and the smallest run that trains on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import RunConfig, with_changes
from core.jobs.folder import process
from core.paths import Home
from core.presets import preset_config
from core.runs.run import list_runs


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `policy` and `similarity`."""
    from tests import tiny

    folder = tmp_path_factory.mktemp("models")
    tiny.save_policy(folder / "policy")
    tiny.save_similarity(folder / "similarity")
    return folder


@pytest.fixture(scope="session")
def tiny_config(tiny_models: Path) -> RunConfig:
    """Four steps of two groups of two short completions."""
    return with_changes(
        preset_config("demo"),
        {
            "model": str(tiny_models / "policy"),
            "reward.similarity_model": str(tiny_models / "similarity"),
            "reward.fluency_model": str(tiny_models / "policy"),
            "train.steps": 4,
            "train.prompts_per_step": 2,
            "train.num_generations": 2,
            "train.max_prompt_length": 1000,
            "train.max_completion_length": 8,
            "train.held_out_rows": 2,
            "train.validate_every": 0,
            "train.save_every": 2,
        },
    )


@pytest.fixture(scope="module")
def embedded_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the real embedded models."""
    from tests.embedded import link_models

    return link_models(Home.open(tmp_path_factory.mktemp("embedded") / "home"))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home; whatever still runs in it when the test ends is killed."""
    opened = Home.open(tmp_path / "home")
    yield opened
    for run in list_runs(opened):
        left = process(run.written_status())
        if left is not None and left.pid != os.getpid():
            left.kill()
            left.wait(10)
