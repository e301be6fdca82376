"""How the tables of an evaluation's results look: shared columns, and dashes where there is nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from studio.evaluate_tables import NONE

_NUMBER = st.column_config.NumberColumn
_P = "How likely a difference at least as large is when the models are equally good. Small speaks against chance."

DIFFERENCES: Mapping[str, ColumnConfig] = {
    "Measure": st.column_config.TextColumn(width="medium", pinned=True),
    "Difference": _NUMBER(format="%+.2f", help="The mean over questions of model minus baseline."),
    "95% interval": st.column_config.TextColumn(
        alignment="right", help="Paired bootstrap over the questions. “Better” is said only when it excludes zero."
    ),
    "Effect size": _NUMBER(
        format="%.2f", help="The mean difference in units of its standard deviation: 0.2 is small, 0.8 large."
    ),
    "p, Wilcoxon": _NUMBER(format="%.4f", help=f"Signed-rank test. {_P}"),
    "p, Holm": _NUMBER(format="%.4f", help="The same after Holm's correction for testing several measures."),
    "p, sign test": _NUMBER(format="%.4f", help=f"Counts only who is ahead on each question. {_P}"),
    "More questions needed": _NUMBER(
        format="%d", help="To be sure, four times in five, of a difference as large as this one."
    ),
}
"""The columns of `evaluate_tables.differences`."""


def table(frame: pd.DataFrame, key: str, alt: str, columns: Mapping[str, ColumnConfig] | None = None) -> None:
    """A table as high as it has rows, whose texts stay texts, those of its headings as well."""
    st.dataframe(
        frame,
        hide_index=True,
        key=f"evaluate.{key}",
        alt=alt,
        height="content",
        placeholder=NONE,
        column_config=dict(columns or {}),
    )


def means(names: Sequence[str]) -> Mapping[str, ColumnConfig]:
    """The columns of `evaluate_tables.averages` and `types`.

    Args:
        names: of the candidates, text from outside.
    """
    return {
        "Measure": st.column_config.TextColumn(width=440),
        **{name: st.column_config.TextColumn(alignment="right", help="Mean ± standard deviation") for name in names},
        "Questions": st.column_config.Column(alignment="right", width="small"),
    }
