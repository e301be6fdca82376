"""How many rows each split will have, told before anything is saved."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import streamlit as st

from core.data.draft import SPLITS, Draft, DropRows, Split
from core.data.mending import splits_by_question
from core.data.split_names import parse_split
from core.data.splits import split_of
from core.data.tables import Table
from studio import data_draft

_COUNTED = 50_000
"""Questions of larger tables are not read into the studio's memory; their splits are reckoned from the shares."""


@dataclass(frozen=True)
class Expected:
    """How many rows each split will have.

    Attributes:
        rows: by split.
        exact: whether every row was looked at; near duplicates may still move to the side of their twins.
        unknown: cells of the split column that name no split.
    """

    rows: dict[Split, int]
    exact: bool
    unknown: tuple[str, ...] = ()


def dropped(draft: Draft) -> set[int]:
    """The rows that mends leave out."""
    return {row for mend in draft.mends if isinstance(mend, DropRows) for row in mend.rows}


def expected(table: Table, draft: Draft) -> Expected:
    """How many rows each split of the draft will have."""
    return _expected(str(table.folder), table, draft.model_dump_json())


@st.cache_data(max_entries=20, show_spinner=False)
def _expected(folder: str, _table: Table, draft_text: str) -> Expected:
    draft = Draft.model_validate_json(draft_text)
    if splits_by_question(draft):
        return _by_question(_table, draft)
    assert draft.mapping.split is not None
    named = Counter(parse_split(text) or text for text in _cells(_table, draft, draft.mapping.split))
    unknown = tuple(str(text or "an empty cell") for text in named if text not in SPLITS)
    return Expected({split: named[split] for split in SPLITS}, True, unknown)


def _by_question(table: Table, draft: Draft) -> Expected:
    rows = data_draft.about(table).rows
    if rows > _COUNTED:
        left = rows - len(dropped(draft))
        held_out: dict[Split, int] = {
            "validation": round(left * draft.shares.validation),
            "test": round(left * draft.shares.test),
        }
        return Expected({"train": left - sum(held_out.values()), **held_out}, False)
    counts = Counter(split_of(text or "", draft.shares) for text in _cells(table, draft, draft.mapping.question))
    return Expected({split: counts[split] for split in SPLITS}, True)


def _cells(table: Table, draft: Draft, column: str) -> list[str | None]:
    """The cells of one column in the rows that are kept."""
    gone = dropped(draft)
    return [text for number, text in table.cells(column) if number not in gone]
