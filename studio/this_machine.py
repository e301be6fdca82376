"""What this machine has, looked at every few seconds at most: asking the GPU's driver takes a moment."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.jobs import launchers
from core.machine import Machine
from core.paths import Home

_SECONDS = 10


def inspected(home: Home) -> Machine:
    """What a run could use here now; the same for every page and browser."""
    return _inspected(str(home.root))


def for_runs(home: Home) -> Machine:
    """What a run could use where it would be started now: here, or in a Job of the workspace.

    Raises:
        ConfigError: the environment names no launcher, or one that does not work here.
    """
    return _for_runs(str(home.root))


@st.cache_resource(ttl=_SECONDS, show_spinner=False)
def _for_runs(root: str) -> Machine:
    return launchers.machine_for_runs(Home(Path(root)))


@st.cache_resource(ttl=_SECONDS, show_spinner=False)
def _inspected(root: str) -> Machine:
    return Machine.inspect(Home(Path(root)))
