"""Which state of a base model an export is made of: the one in the cache, which was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import huggingface_hub
import pytest
from huggingface_hub import constants

from core.engine.export.base import base_commit, base_folder
from core.errors import ModelError
from core.jobs.tasks import silent
from core.paths import Home
from tests.build_adapters import save_base

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Stands in for the Hub's client: what lies in the cache is real, the network fails.

    Attributes:
        asked: the states that were asked for.
    """

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self._real = huggingface_hub.snapshot_download

    def __call__(self, name: str, revision: str | None = None, local_files_only: bool = False, **_: object) -> str:
        if local_files_only:
            return str(self._real(name, local_files_only=True))
        self.asked.append(revision)
        raise httpx.ConnectError("no network")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    found = Hub()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", found)
    return found


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What training has left of `ward/base` in the cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    model = tmp_path / "hub" / "models--ward--base"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    (model / "snapshots").mkdir()
    shutil.copytree(save_base(tmp_path / "saved"), model / "snapshots" / COMMIT)
    return model / "snapshots" / COMMIT


def test_the_state_in_the_cache_is_asked_for_and_taken_without_a_network(home: Home, hub: Hub, cached: Path) -> None:
    found = base_folder("ward/base", home, silent)
    assert found.resolve() == cached.resolve() and hub.asked == [COMMIT]
    assert base_commit(found) == COMMIT


def test_a_state_that_is_there_in_part_is_no_base(home: Home, hub: Hub, cached: Path) -> None:
    (cached / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be downloaded"):
        base_folder("ward/base", home, silent)


def test_a_folder_has_no_commit(tmp_path: Path) -> None:
    assert base_commit(tmp_path) == ""
