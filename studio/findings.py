"""What was noticed about settings or a run, with a button for each mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.training.advice import Finding
from studio import output


def draw(found: Sequence[Finding], key: str, mend: Callable[[Mapping[str, Any]], None]) -> None:
    """Each finding in its colour, the mends as buttons under it.

    Args:
        key: how the keys of the buttons begin.
        mend: the callback of a button; takes the changes of settings.
    """
    for finding in found:
        _say(finding)
        if not finding.mends:
            continue
        with st.container(horizontal=True):
            for number, way in enumerate(finding.mends):
                st.button(
                    output.escape(way.label),
                    key=f"{key}.{finding.name}.{number}",
                    icon=":material/build:",
                    on_click=mend,
                    args=(way.changes,),
                )


def _say(finding: Finding) -> None:
    if finding.level == "stop":
        output.problem(finding.message)
    elif finding.level == "warning":
        output.warning(finding.message)
    else:
        st.success(output.escape(finding.message), icon=":material/check_circle:")
