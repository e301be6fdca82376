"""Room and versions on the Administration page: what the home folder takes, what limits it, and which packages run."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import StudioError
from core.paths import Home
from core.quotas import DISK_QUOTA, MAX_RUNS, RUNS_PER_USER, DiskUse, disk_use, limits
from core.text import disk_size
from studio import output, this_machine

_SECONDS = 60
_NO_LIMIT = "no limit"


def draw(home: Home) -> None:
    """The disk, the limits, then the versions."""
    machine = this_machine.inspected(home)
    use = _use(str(home.root))
    with st.container(horizontal=True):
        st.metric("Taken by the studio", disk_size(use.total), border=True)
        st.metric("Free on that disk", disk_size(machine.free_disk_bytes), border=True)
    output.labelled("Home folder", str(home.root))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("What takes the room", anchor=False)
        output.texts([{"Folder": name, "Size": disk_size(size)} for name, size in use.parts.items()], "admin.room")
        st.caption("Measured at most once a minute.")
        _limits()
    with right:
        st.subheader("Versions", anchor=False)
        versions = {"python": machine.python, **machine.packages}
        rows = [{"Package": name, "Version": version or "not installed"} for name, version in versions.items()]
        output.texts(rows, "admin.versions")


@st.cache_data(ttl=_SECONDS, max_entries=1, show_spinner="Measuring the home folder")
def _use(root: str) -> DiskUse:
    return disk_use(Home(Path(root)))


def _limits() -> None:
    st.subheader("Limits", anchor=False)
    try:
        found = limits()
    except StudioError as error:
        output.problem(error)
        return
    disk = _NO_LIMIT if found.disk_bytes is None else disk_size(found.disk_bytes)
    rows = [
        {"Limit": "Disk", "Value": disk, "Set by": DISK_QUOTA},
        {"Limit": "Runs at one time", "Value": str(found.runs or _NO_LIMIT), "Set by": MAX_RUNS},
        {"Limit": "Runs of one person", "Value": str(found.runs_per_user or _NO_LIMIT), "Set by": RUNS_PER_USER},
    ]
    output.texts(rows, "admin.limits")
