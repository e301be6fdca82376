"""The one table of the studio's pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core.paths import PROJECT

PAGES = PROJECT / "pages"


@dataclass(frozen=True)
class Entry:
    """One page: its file under `pages/`, its title, its Material icon."""

    file: str
    title: str
    icon: str

    @property
    def path(self) -> Path:
        return PAGES / self.file


OVERVIEW = Entry("overview.py", "Overview", ":material/dashboard:")
DATA = Entry("data.py", "Data", ":material/dataset:")
REWARDS = Entry("rewards.py", "Rewards", ":material/balance:")
TRAIN = Entry("train.py", "Train", ":material/model_training:")
RUNS = Entry("runs.py", "Runs", ":material/list_alt:")
COMPARE = Entry("compare.py", "Compare", ":material/forum:")
EVALUATE = Entry("evaluate.py", "Evaluate", ":material/fact_check:")
EXPORT = Entry("export.py", "Export", ":material/ios_share:")
ENTRIES: Sequence[Entry] = (OVERVIEW, DATA, REWARDS, TRAIN, RUNS, COMPARE, EVALUATE, EXPORT)
"""In the order of the menu; the first is the one that opens."""


def pages() -> list[Any]:
    """The pages as `st.navigation` takes them."""
    return [st.Page(entry.path, title=entry.title, icon=entry.icon, default=entry is ENTRIES[0]) for entry in ENTRIES]
