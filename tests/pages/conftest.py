"""The app, run by Streamlit's own test driver."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.models import EMBEDDED, READY
from core.paths import PROJECT, Home

TRAIN = str(PROJECT / "pages" / "train.py")


@pytest.fixture
def overview(home: Home) -> Callable[[], AppTest]:
    """Opens the studio."""

    def open_overview() -> AppTest:
        return AppTest.from_file(PROJECT / "studio" / "app.py", default_timeout=20).run()

    return open_overview


@pytest.fixture
def train(overview: Callable[[], AppTest]) -> Callable[..., AppTest]:
    """Opens the Train page, with a run in its address when one is named."""

    def open_train(run: str | None = None) -> AppTest:
        at = overview()
        at.switch_page(TRAIN)
        if run is not None:
            at.query_params["run"] = run
        return at.run()

    return open_train


@pytest.fixture
def seemingly_prepared(home: Home) -> None:
    """The embedded models look prepared, as far as the check before a start goes."""
    for model in EMBEDDED.values():
        folder = home.models / model.name
        folder.mkdir()
        (folder / READY).write_text(json.dumps({"sha256": model.sha256}))
