"""The last step of the Data page: shares, name, saving, and what was written."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain, count
from pathlib import Path

import streamlit as st

from core.config import SAMPLE
from core.data.draft import SPLITS, Draft
from core.data.mending import splits_by_question
from core.data.prepared import PreparedData, list_prepared, prepared_data_folder
from core.data.tables import Table
from core.errors import DataError
from core.jobs.tasks import newest_task
from core.paths import Home
from studio import data_draft, data_split, data_tasks, navigation, output, state

SPLIT_TITLES = {"train": "Training", "validation": "Validation", "test": "Test"}
_NAME_LENGTH = 48
_LARGEST_SHARE = 45
"""In percent, for each of the two shares, so that some rows are left for training."""


def is_saved(home: Home, draft: Draft) -> bool:
    """Whether a prepared data set was saved of exactly this draft."""
    return any(_draft_of(data) == draft for data in list_prepared(home))


def _draft_of(data: PreparedData) -> Draft | None:
    try:
        return data.manifest.draft
    except DataError:
        return None


def plain_name(text: str) -> str:
    """A name for a folder, made of what somebody wrote.

    >>> plain_name("Ward 7: sepsis.csv")
    'ward-7-sepsis'
    """
    stem = re.sub(r"\.(csv|tsv|jsonl?|ndjson|parquet|xlsx)$", "", text.strip().lower())
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:_NAME_LENGTH].strip("-")


def free_name(text: str, taken: Collection[str]) -> str:
    """A plain name like `text` that can be saved under: not one of `taken`, and not that of the studio's own sample.

    >>> free_name("sample.csv", []), free_name("Ward 7", ["ward-7"]), free_name("病例", [])
    ('sample-data', 'ward-7-2', 'data')
    """
    plain = plain_name(text) or "data"
    if plain == SAMPLE:
        plain = f"{SAMPLE}-data"
    numbers = (f"-{number}" for number in count(2))
    ends = chain([""], numbers)
    return next(name for end in ends if (name := plain[: _NAME_LENGTH - len(end)] + end) not in taken)


def form(home: Home, table: Table, draft: Draft) -> None:
    """How the rows are split, under which name they are saved, and the button that does it."""
    _shares(table, draft)
    counts = data_split.expected(table, draft)
    with st.grid(3, min_column_width=140):
        for split in SPLITS:
            rows = counts.rows[split]
            st.metric(SPLIT_TITLES[split], f"{rows:,}" if counts.exact else f"about {rows:,}", border=True)
    if splits_by_question(draft):
        st.caption(
            "Decided by a hash of the question, so it is the same on every machine. Near duplicates are kept on one "
            "side, which may move a few rows. Only the training split is ever trained on."
        )
    if counts.unknown:
        words = ", ".join(counts.unknown[:3])
        output.problem(f"The split column holds {words}, which names no split. Choose another split column, or none.")
    elif not counts.rows["train"]:
        output.problem("No row is left for training. Choose smaller shares, or split by the question.")
    _save(home, table, ready=bool(counts.rows["train"]) and not counts.unknown)


def _shares(table: Table, draft: Draft) -> None:
    if not splits_by_question(draft):
        st.caption(f"The split is read from the column {output.escape(draft.mapping.split or '')}.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        _share(
            table,
            "validation",
            draft.shares.validation,
            "Never trained on. Answered before and after training only when the test split is empty.",
        )
    with right:
        _share(table, "test", draft.shares.test, "Answered before and after training; never trained on.")


def _share(table: Table, part: str, share: float, note: str) -> None:
    key = f"{table.id}.share.{part}"
    state.show(key, min(round(share * 100), _LARGEST_SHARE))
    st.slider(
        f"{part.capitalize()} share",
        0,
        _LARGEST_SHARE,
        format="%d %%",
        key=key,
        help=note,
        on_change=_keep_share,
        args=(table, part),
    )


def _keep_share(table: Table, part: str) -> None:
    data_draft.change(table, {f"shares.{part}": state.value(f"{table.id}.share.{part}") / 100})


def _save(home: Home, table: Table, ready: bool) -> None:
    task = newest_task(home, "prepare", {"table": table.id})
    if task is not None and task.status().live:
        data_tasks.follow(task)
        return
    key = f"{table.id}.name"
    taken = {folder.name for folder in prepared_data_folder(home).iterdir()}
    if state.value(key) is None:
        state.show(key, free_name(data_draft.about(table).title, taken))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        written = st.text_input("Name", key=key, max_chars=80, width=320, help="A name that is taken gets a number.")
        name = plain_name(written or "")
        st.button(
            "Save the data set",
            type="primary",
            icon=":material/save:",
            key="save_data",
            disabled=not ready or name in ("", SAMPLE),
            on_click=data_tasks.start,
            args=(home, "prepare", {"table": table.id, "name": name}),
        )
    if not name:
        st.caption("Give it a name of letters and digits; then it can be saved.")
    elif name == SAMPLE:
        st.caption(f"{SAMPLE} is what the studio's own questions are called. Choose another name.")
    elif name in taken:
        st.caption(f"{output.escape(name)} is taken; a number will be added.")
    elif name != written:
        st.caption(f"Saved as {output.escape(name)}.")
    data_tasks.explain(task, "prepare", "Nothing was saved. Save again.", table.id)


def outcome(home: Home, table: Table, draft: Draft) -> None:
    """What the last saving wrote, and the way to train on it."""
    saved = _last_saved(home, table)
    if saved is None:
        return
    manifest = saved.manifest
    with st.container(border=True):
        st.markdown(f":green[:material/check_circle:] **Saved as {output.escape(saved.name)}**")
        parts = [f"{manifest.rows(split):,} {SPLIT_TITLES[split].lower()}" for split in SPLITS]
        st.write(f"Rows: {', '.join(parts)}.")
        for note in manifest.notes:
            st.caption(output.escape(note))
        output.labelled("Fingerprint", manifest.fingerprint)
        output.labelled("Folder", _shown_folder(home, saved.folder))
        if manifest.draft != draft:
            output.warning("Something has been changed since. Save again to train on what stands here now.")
        if st.button("Train on it", type="primary", icon=":material/model_training:", key="train_on_it"):
            state.forget("data_source", "prepared_data", "model_source", "model_folder", "model_hub_id")
            st.switch_page(navigation.TRAIN.path, query_params=state.new_run_on(saved.name))


def _shown_folder(home: Home, folder: Path) -> str:
    return str(folder.relative_to(home.root.parent) if folder.is_relative_to(home.root.parent) else folder)


def _last_saved(home: Home, table: Table) -> PreparedData | None:
    """The newest data set that was saved of a table."""
    drafts = ((data, _draft_of(data)) for data in list_prepared(home))
    return next((data for data, draft in drafts if draft is not None and draft.table == table.id), None)
