"""The Data page as tests see it: its words and tables, and tasks it may find."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pandas as pd
import psutil
from streamlit.testing.v1 import AppTest

from core.data.draft import Draft
from core.data.tables import Table
from core.jobs.folder import Status
from core.jobs.tasks import Task, create_task
from core.paths import PROJECT, Home

DATA = str(PROJECT / "pages" / "data.py")

ROWS = [
    {"question": f"What helps against complaint number {number}?", "answer": f"Remedy {number}.", "ward": "A"}
    for number in range(1, 61)
]
Open = Callable[..., AppTest]


def draft_of(table: Table) -> Draft:
    draft = table.draft()
    assert draft is not None
    return draft


def texts(at: AppTest) -> str:
    """Everything the page says in words."""
    kinds = (at.markdown, at.caption, at.text, at.code, at.error, at.warning, at.info, at.success, at.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def shown(at: AppTest, *columns: str) -> pd.DataFrame:
    """The table on the page that has these columns."""
    return next(frame.value for frame in at.dataframe if set(columns) <= set(frame.value.columns))


def live_task(home: Home, kind: str, arguments: dict[str, str], **status: object) -> Task:
    """A task that this very process seems to work on."""
    task = create_task(home, kind, arguments)
    me = psutil.Process()
    working = Status(state="running", pid=os.getpid(), created=me.create_time(), updated=time.time())
    task.write_status(Status(**{**vars(working), **status}))
    return task


def ended_task(home: Home, kind: str, arguments: dict[str, str], state: str, error: str = "") -> Task:
    task = create_task(home, kind, arguments)
    task.write_status(Status(state=state, error=error))  # type: ignore[arg-type]
    return task
