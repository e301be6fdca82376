"""What has been decided about a table: begun by a guess, changed by widgets, kept on disk at every change."""

from __future__ import annotations

from functools import cache
from typing import Any

from core.data.columns import guess_mapping
from core.data.draft import ColumnMapping, Draft, Mend
from core.data.findings import lasting_mends
from core.data.mending import check_mapping
from core.data.tables import About, Table
from core.errors import DataError
from core.prompts import PROMPTS
from studio import output

FIRST_PROMPT = "concise"
"""The preset a draft begins with: the one that the embedded model can follow."""
_GUESSED_FROM = 200
"""How many rows are looked at to find the columns."""


@cache
def about(table: Table) -> About:
    """Where a table came from; read once, since a table never changes."""
    return table.about()


def begin(table: Table) -> None:
    """Keep a first draft with the columns found automatically, when nothing has been decided and they can be told."""
    if table.draft() is None:
        mapping = guess_mapping(about(table).columns, table.page(0, _GUESSED_FROM))
        if mapping is not None:
            keep_mapping(table, mapping)


def keep_mapping(table: Table, mapping: ColumnMapping) -> None:
    """Keep which columns mean what; mends that were for the texts of other columns are dropped, with a warning.

    Raises:
        DataError: the columns cannot be used like that.
    """
    check_mapping(mapping, about(table).columns, about(table).title)
    draft = table.draft()
    if draft is None:
        table.keep(Draft(table=table.id, mapping=mapping, prompt=PROMPTS[FIRST_PROMPT].prompt))
        return
    mends = lasting_mends(draft, mapping)
    change(table, mapping=mapping, mends=mends)
    dropped = len(draft.mends) - len(mends)
    if dropped:
        output.warning(f"{dropped} mend(s) were for the texts of other columns and are dropped. Check the rows again.")


def change(table: Table, **changes: Any) -> None:
    """Keep other values for some fields of the draft; nothing is written when they are the same.

    Raises:
        DataError: there is no draft yet.
    """
    draft = table.draft()
    if draft is None:
        raise DataError("Choose the question and answer columns first.")
    changed = Draft.model_validate({**dict(draft), **changes})
    if changed != draft:
        table.keep(changed)


def apply(table: Table, mend: Mend) -> None:
    """Add a mend behind those that are applied already."""
    draft = table.draft()
    if draft is not None and mend not in draft.mends:
        change(table, mends=(*draft.mends, mend))


def take_back(table: Table, mend: Mend) -> None:
    """Remove one mend; the others stay in their order."""
    draft = table.draft()
    if draft is not None:
        change(table, mends=tuple(kept for kept in draft.mends if kept != mend))
