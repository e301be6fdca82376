"""Every test has a home folder of its own; nothing outside its temporary folder is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.paths import HOME_VARIABLE, Home


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Points the environment at an empty home."""
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


@pytest.fixture
def home(own_home: Path) -> Home:
    return Home.open(own_home)
