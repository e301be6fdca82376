"""The app, run by Streamlit's own test driver."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data.tables import Table
from core.models import EMBEDDED, READY
from core.paths import PROJECT, Home
from tests.build_data_page import DATA, ROWS, Open
from tests.build_reader import save_reader
from tests.build_tables import decide, make_draft, make_table

TRAIN = str(PROJECT / "pages" / "train.py")


@pytest.fixture
def overview(home: Home) -> Callable[[], AppTest]:
    """Opens the studio."""

    def open_overview() -> AppTest:
        return AppTest.from_file(PROJECT / "studio" / "main.py", default_timeout=20).run()

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


@pytest.fixture
def data(overview: Callable[[], AppTest]) -> Open:
    """Opens the Data page, with a table in its address when one is given."""

    def open_data(table: Table | str | None = None) -> AppTest:
        at = overview()
        at.switch_page(DATA)
        if table is not None:
            at.query_params["table"] = table if isinstance(table, str) else table.id
        return at.run()

    return open_data


@pytest.fixture
def reader(tmp_path: Path) -> str:
    return str(save_reader(tmp_path / "reader"))


@pytest.fixture
def table(home: Home, reader: str) -> Table:
    """A table whose columns and model are chosen."""
    made = make_table(home, ROWS)
    decide(made, make_draft(made, model=reader, max_prompt_length=2000))
    return made
