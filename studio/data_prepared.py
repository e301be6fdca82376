"""The prepared data sets there are, checked against what was saved."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from core.data.draft import SPLITS
from core.data.prepared import MANIFEST, PreparedData, list_prepared, verify
from core.errors import DataError
from core.paths import Home
from studio import output
from studio.data_save import SPLIT_TITLES

_FINGERPRINT = 12
"""How many characters of a fingerprint are shown in the list."""


def listed(home: Home) -> None:
    """All prepared data sets, the newest first, and what is wrong with any of them."""
    found = list_prepared(home)
    if not found:
        st.caption("Nothing is prepared yet. What you save above is listed here and can be chosen on the Train page.")
        return
    problems = {data.name: reason for data in found if (reason := problem(data)) is not None}
    st.dataframe(
        pd.DataFrame([_line(data, data.name in problems) for data in found]),
        hide_index=True,
        key="prepared",
        alt="Prepared data sets with their rows by split",
        column_config={
            "State": st.column_config.MultiselectColumn(options=["Whole", "Changed"], color=["green", "red"], width=90),
            "Saved": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
        },
    )
    for reason in problems.values():
        output.problem(reason)


def problem(data: PreparedData) -> str | None:
    """Why a prepared data set cannot be trained on; its files are read again only when one of them has changed."""
    files = [data.folder / MANIFEST, *(data.file(split) for split in SPLITS)]
    changed = tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
    return _problem(str(data.folder), changed, data)


@st.cache_data(max_entries=200, show_spinner=False)
def _problem(folder: str, changed: tuple[int, ...], _data: PreparedData) -> str | None:
    try:
        verify(_data)
    except DataError as error:
        return str(error)
    return None


def _line(data: PreparedData, broken: bool) -> dict[str, object]:
    state: dict[str, object] = {"State": ["Changed" if broken else "Whole"], "Name": data.name}
    try:
        manifest = data.manifest
    except DataError:
        return state
    return {
        **state,
        "Source": manifest.source.title,
        **{SPLIT_TITLES[split]: manifest.rows(split) for split in SPLITS},
        "Fingerprint": manifest.fingerprint[:_FINGERPRINT],
        "Saved": datetime.fromisoformat(manifest.created).astimezone().replace(tzinfo=None),
    }
