"""What has been decided about a table: begun by a guess, changed by widgets, kept on disk at every change.

Several people may prepare one table at once, so a change names only what its widget is about, and is made to what
stands on the disk by then (`core.data.tables.Table.revise`). Everybody sees what the others have decided when their
page is drawn next.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from core.config import Example, replace_fields, validation_sentence
from core.data.columns import guess_mapping
from core.data.draft import ColumnMapping, Draft, Mend, changed_fields
from core.data.findings import lasting_mends
from core.data.mending import check_mapping
from core.data.tables import About, Table
from core.errors import ConfigError, DataError
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
            first = _first(table, mapping)
            table.revise(lambda draft: draft or first)


def keep_mapping(table: Table, mapping: ColumnMapping, seen: ColumnMapping | None) -> None:
    """Keep which columns mean what; mends that were for the texts of other columns are dropped, with a warning.

    Args:
        seen: what was kept when the page was drawn; where `mapping` is the same, what is kept now stays.

    Raises:
        DataError: the columns cannot be used like that.
    """
    dropped = 0

    def mapped(draft: Draft | None) -> Draft:
        nonlocal dropped
        wanted = _merged(draft.mapping if draft else mapping, seen, mapping)
        check_mapping(wanted, about(table).columns, about(table).title)
        if draft is None:
            return _first(table, wanted)
        mends = lasting_mends(draft, wanted)
        dropped = len(draft.mends) - len(mends)
        return draft.model_copy(update={"mapping": wanted, "mends": mends})

    table.revise(mapped)
    if dropped:
        output.warning(f"{dropped} mend(s) were for the texts of other columns and are dropped. Check the rows again.")


def change(table: Table, changes: Mapping[str, Any]) -> None:
    """Keep other values for some fields of the draft; nothing is written when they are the same.

    Args:
        changes: values by dotted path, such as `prompt.system`.

    Raises:
        ConfigError: the values cannot be kept together with those that are there by now.
        DataError: there is no draft yet.
    """

    def changed(draft: Draft | None) -> Draft:
        try:
            return Draft.model_validate(replace_fields(_decided(draft).model_dump(), changes))
        except ValidationError as error:
            raise ConfigError(validation_sentence(error)) from error

    table.revise(changed)


def remove_example(table: Table, example: Example) -> None:
    """Remove one worked example from the prompt, the first of those that are equal; the others stay in their order."""

    def without(draft: Draft | None) -> Draft:
        now = _decided(draft)
        examples = list(now.prompt.examples)
        if example in examples:
            examples.remove(example)
        return now.model_copy(update={"prompt": now.prompt.model_copy(update={"examples": tuple(examples)})})

    table.revise(without)


def apply(table: Table, mend: Mend, seen: Draft) -> None:
    """Add a mend behind those that are applied already; not where somebody has chosen other columns than those it was
    for, with a warning.

    Args:
        seen: the draft that the page was drawn with.
    """
    lasts = True

    def mended(draft: Draft | None) -> Draft:
        nonlocal lasts
        now = _decided(draft)
        lasts = bool(lasting_mends(seen.model_copy(update={"mends": (mend,)}), now.mapping))
        return now.model_copy(update={"mends": (*now.mends, mend)}) if lasts and mend not in now.mends else now

    table.revise(mended)
    if not lasts:
        output.warning("Other columns have been chosen meanwhile, so the mend was not applied. Check the rows again.")


def take_back(table: Table, mend: Mend) -> None:
    """Remove one mend; the others stay in their order."""

    def without(draft: Draft | None) -> Draft:
        now = _decided(draft)
        return now.model_copy(update={"mends": tuple(kept for kept in now.mends if kept != mend)})

    table.revise(without)


def _first(table: Table, mapping: ColumnMapping) -> Draft:
    return Draft(table=table.id, mapping=mapping, prompt=PROMPTS[FIRST_PROMPT].prompt)


def _decided(draft: Draft | None) -> Draft:
    if draft is None:
        raise DataError("Choose the question and answer columns first.")
    return draft


def _merged(now: ColumnMapping, seen: ColumnMapping | None, wanted: ColumnMapping) -> ColumnMapping:
    """What is kept now with what somebody has changed of what they saw; a column that is used is not carried, too."""
    merged = now.model_copy(update=changed_fields(seen, wanted))
    used = (merged.question, merged.answer, merged.split)
    return merged.model_copy(update={"carried": tuple(column for column in merged.carried if column not in used)})
