"""The question which rows a new run is trained on: the sample, a prepared data set, an upload, or a file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import streamlit as st

from core.config import PREPARED, SAMPLE, DataConfig, RunConfig
from core.data.formats import SUFFIXES
from core.data.prepared import find, list_prepared, run_config
from core.datasets import TRAIN, Row, read_rows, resolve
from core.errors import StudioError
from core.paths import Home
from studio import forms, output, state
from studio.train_origin import Origin
from studio.uploads import store_upload

_SAMPLE, _PREPARED, _UPLOAD, _PATH = "Sample", "Prepared", "Upload", "File on this machine"
_FILES = "CSV, TSV, JSON, JSON lines, Parquet or Excel (.xlsx)."
Stamp = tuple[tuple[str, int, int], ...]
"""Of each file: its path, when it was last written in nanoseconds, its length in bytes."""


def data_config(home: Home, origin: Origin) -> DataConfig | None:
    """Asks which rows to train on; None while no file is named.

    Raises:
        StudioError: the upload cannot be kept.
    """
    cloned = origin.cloned.config.data if origin.cloned else DataConfig()
    first = _PREPARED if origin.data else _SAMPLE if cloned.path == SAMPLE else _PATH
    sources = [_SAMPLE, _PREPARED, _UPLOAD, _PATH]
    source = forms.choice("Data", sources, origin.key("data_source"), default=first)
    if source == _SAMPLE:
        return DataConfig(path=SAMPLE)
    if source == _PREPARED:
        return _prepared(home, origin)
    given = cloned.path if first == _PATH else ""
    if source == _UPLOAD:
        path = _uploaded(home, origin)
    else:
        path = forms.text("Data file", origin.key("data_path"), "/data/questions.jsonl", _FILES, given)
    left, right = st.columns(2)
    with left:
        question = forms.text("Question column", origin.key("question_column"), "question", "", cloned.question)
    with right:
        answer = forms.text("Answer column", origin.key("answer_column"), "answer", "", cloned.answer)
    return DataConfig(path=path, question=question, answer=answer) if path else None


def _prepared(home: Home, origin: Origin) -> DataConfig | None:
    names = [data.name for data in list_prepared(home)]
    if not names:
        st.caption("Nothing is prepared yet. The Data page makes a data set out of a file, checked and split.")
        return None
    if origin.data is not None and origin.data not in names:
        output.warning(f"There is no prepared data set {origin.data}. Choose another one.")
    key = origin.key("prepared_data")
    if state.value(key) not in names:
        state.put(key, origin.data if origin.data in names else names[0])
    name = st.selectbox("Prepared data set", names, key=key, persist_state="session")
    return DataConfig(path=f"{PREPARED}{name}")


def suited(base: RunConfig, data: DataConfig | None, home: Home) -> RunConfig:
    """`base` with the prompt and the limits that come with a prepared data set; other data brings none, nor does the
    data set that `base` has been made for.

    Raises:
        DataError: the data set is not there or broken.
    """
    if data is None or data.prepared is None or data.path == base.data.path:
        return base
    return run_config(base, find(home, data.prepared))


def _uploaded(home: Home, origin: Origin) -> str:
    kinds = [ending.lstrip(".") for ending in SUFFIXES]
    kept = origin.key("data_uploaded")
    forget = partial(state.forget, kept)
    file = st.file_uploader("Data file", type=kinds, key=origin.key("data_upload"), on_change=forget)
    if file is not None:
        state.put(kept, str(store_upload(home, file.name, file.getvalue())))
    path: str = state.value(kept) or ""
    if path and file is None:  # the uploader is empty again after a visit to another page
        st.caption(output.escape(f"Still chosen: {Path(path).name}. Another upload takes its place."))
    return path


@dataclass(frozen=True)
class Preview:
    """How many rows there are of either kind, and the first of them."""

    training: int
    held_out: int
    first: tuple[Row, ...]


@lru_cache(maxsize=8)
def _preview(data: DataConfig, home: Home, stamp: Stamp) -> Preview:
    """What `data` holds, read again only when its files have another `stamp`: a page runs at every change of a widget.

    Raises:
        DataError: the file cannot be used.
    """
    rows = read_rows(data, home)
    training = sum(row.split == TRAIN for row in rows)
    return Preview(training, len(rows) - training, tuple(rows[:5]))


def _stamp(data: DataConfig, home: Home) -> Stamp:
    """When the files of `data` were last written and how long they are; empty when one is not there."""
    with suppress(OSError, StudioError):  # reading them says what is wrong
        files = [resolve(data)] if data.prepared is None else sorted(find(home, data.prepared).folder.iterdir())
        return tuple((str(file), (found := file.stat()).st_mtime_ns, found.st_size) for file in files)
    return ()


def data_preview(data: DataConfig, home: Home) -> None:
    """Reads the rows and shows how many there are, and the first of them.

    Raises:
        DataError: the file cannot be used.
    """
    found = _preview(data, home, _stamp(data, home))
    kind = "Medical questions with short reference answers. " if data.path == SAMPLE else ""
    st.caption(f"{kind}{found.training} rows to train on, {found.held_out} held out.")
    if data.prepared is not None:
        draft = find(home, data.prepared).manifest.draft
        st.caption(f"Its prompt and limits come with it; they were checked for {output.escape(draft.model)}.")
    with st.expander("First rows"):
        output.texts(
            [{"Question": row.question, "Reference answer": row.answer} for row in found.first], key="first_rows"
        )
