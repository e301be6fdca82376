"""The one table of the studio's pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core.access.actors import Actor
from core.paths import PROJECT
from studio import output

PAGES = PROJECT / "pages"
_LONGEST_NAME = 24
"""How much of a person's name the menu has room for."""


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
ADMIN = Entry("admin.py", "Administration", ":material/admin_panel_settings:")
ACCOUNT = Entry("account.py", "You", ":material/account_circle:")
ENTRIES: Sequence[Entry] = (OVERVIEW, DATA, REWARDS, TRAIN, RUNS, COMPARE, EVALUATE, EXPORT)
"""What everybody finds in the menu, in its order; the first is the one that opens."""


def pages(actor: Actor | None = None, administers: bool = False) -> list[Any]:
    """The pages as `st.navigation` takes them; the last names who is signed in.

    Args:
        actor: who is signed in; None before that is known.
        administers: whether they are offered the page for administrators.
    """
    shown = [st.Page(entry.path, title=entry.title, icon=entry.icon, default=entry is ENTRIES[0]) for entry in ENTRIES]
    if administers:
        shown.append(st.Page(ADMIN.path, title=ADMIN.title, icon=ADMIN.icon))
    if actor is not None:
        title = output.escape(f"{_short(actor.name)} ({actor.role})")
        shown.append(st.Page(ACCOUNT.path, title=title, icon=ACCOUNT.icon))
    return shown


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
