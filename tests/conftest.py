"""Every test has a home folder of its own; nothing outside its temporary folder is read or written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.access.actors import ACTOR_VARIABLE, identify_with
from core.access.policy import ADMINS_VARIABLE
from core.paths import HOME_VARIABLE, Home


def pytest_configure() -> None:
    """Give each of several test processes cores of its own, and so all jobs that it starts.

    Two that train at once on the same cores wait for each other's threads and take several times as long.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker and hasattr(os, "sched_setaffinity"):
        count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        own = sorted(os.sched_getaffinity(0))[int(worker) :: count]
        if own:
            os.sched_setaffinity(0, own)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Points the environment at an empty home."""
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


@pytest.fixture
def home(own_home: Path) -> Home:
    return Home.open(own_home)


@pytest.fixture(autouse=True)
def nobody_signed_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins, as a command line does, for the user who runs it, who may do everything."""
    monkeypatch.delenv(ACTOR_VARIABLE, raising=False)
    monkeypatch.delenv(ADMINS_VARIABLE, raising=False)
    yield
    identify_with(None)
