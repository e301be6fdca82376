"""The questions at the top of the form for a new run: its name, how much to train, which model, data and reward."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial

import streamlit as st

from core.config import EMBEDDED_POLICY, PREPARED, SAMPLE, DataConfig, RewardConfig, RunConfig
from core.data.formats import SUFFIXES
from core.data.prepared import find, list_prepared, run_config
from core.datasets import TRAIN, Row, read_rows, resolve
from core.errors import StudioError
from core.models import EMBEDDED
from core.paths import Home
from core.presets import SIZES
from core.reward.formula import PRESET_NOTES, PRESETS
from core.reward.presets import all_presets
from core.training.fields import FIELDS
from studio import forms, output, state
from studio.data_model import Kind, kind_of
from studio.train_origin import Origin
from studio.uploads import store_upload
from studio.words import formula, preset_title

_EMBEDDED, _LOCAL, _HUB = "Embedded", "Local directory", "Hugging Face id"
_SOURCES: dict[Kind, str] = {"embedded": _EMBEDDED, "local": _LOCAL, "hub": _HUB}
_FILES = "CSV, TSV, JSON, JSON lines, Parquet or Excel (.xlsx)."
Stamp = tuple[tuple[str, int, int], ...]
"""Of each file: its path, when it was last written in nanoseconds, its length in bytes."""
_SAMPLE, _PREPARED, _UPLOAD, _PATH = "Sample", "Prepared", "Upload", "File on this machine"
_AS_CLONED = " as cloned"
"""In place of a preset's name, which cannot begin with a space: the reward of the run that is cloned."""
_BROUGHT = "form.brought"
"""The key of the model that the chosen size has brought."""


def run_name(origin: Origin) -> str:
    """Asks what the run is to be called; may stay empty."""
    field = FIELDS["name"]
    named = origin.cloned.config.name if origin.cloned else ""
    return forms.text(field.label, origin.key("run_name"), "optional", field.help, named)[:120]


def run_size(origin: Origin) -> str:
    """Asks how much to train. A size may bring a model and a reward."""
    titles = {key: size.title for key, size in SIZES.items()}
    size = forms.choice("Size", list(SIZES), "run_size", titles, on_change=partial(_bring, origin))
    st.caption(SIZES[size].note)
    return size


def _bring(origin: Origin) -> None:
    """Callback of the size: name its model and reward; a model that the last size brought goes with it."""
    size = SIZES[state.value("run_size")]
    named = state.value(origin.key("model_hub_id"))
    if size.model:
        show_model(origin, size.model)
        state.put(_BROUGHT, size.model)
    elif named and named == state.value(_BROUGHT):
        show_model(origin, EMBEDDED_POLICY)
    if size.reward:
        state.put(origin.key("reward_preset"), size.reward.preset)


def show_model(origin: Origin, model: str) -> None:
    """Make the question for the model name this one. Called before it is drawn, or from a callback."""
    source = _SOURCES[kind_of(model)]
    state.put(origin.key("model_source"), source)
    if source != _EMBEDDED:
        state.put(origin.key("model_folder" if source == _LOCAL else "model_hub_id"), model)


def model_name(origin: Origin) -> str:
    """Asks which model to train; empty while none is named."""
    first = _SOURCES[kind_of(origin.model)]
    source = forms.choice("Model", [_EMBEDDED, _LOCAL, _HUB], origin.key("model_source"), default=first)
    if source == _EMBEDDED:
        model = EMBEDDED[EMBEDDED_POLICY]
        st.caption(f"{model.title}: comes with the studio, needs no network, trains on a processor.")
        return EMBEDDED_POLICY
    given = origin.model if source == first else ""
    if source == _LOCAL:
        note = "Holds config.json and .safetensors weights."
        return forms.text("Model folder", origin.key("model_folder"), "/models/my-model", note, given)
    note = "Downloaded when the run starts; needs a network."
    return forms.text("Hugging Face id", origin.key("model_hub_id"), "org/model", note, given)


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


def scope(size: str, data: DataConfig | None, reward: RewardConfig | None = None) -> str:
    """Names what the settings start from; without a reward those that do not depend on one."""
    return ".".join(filter(None, (size, _named(reward) if reward else None, data.prepared if data else None)))


def _named(reward: RewardConfig) -> str:
    """The reward's name; with a hash when it was saved by the user, who may save another one under that name."""
    if reward.preset in PRESETS:
        return reward.preset
    return f"{reward.preset}.{hashlib.sha256(reward.model_dump_json().encode()).hexdigest()[:12]}"


def _uploaded(home: Home, origin: Origin) -> str:
    kinds = [ending.lstrip(".") for ending in SUFFIXES]
    file = st.file_uploader("Data file", type=kinds, key=origin.key("data_upload"))
    return "" if file is None else str(store_upload(home, file.name, file.getvalue()))


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


def reward_preset(home: Home, origin: Origin) -> RewardConfig:
    """Asks which reward to train with: a built-in one, one that was saved on the Rewards page, or that of the run that
    is cloned."""
    found = all_presets(home)
    if origin.cloned:
        found = {_AS_CLONED: origin.cloned.config.reward, **found}
    key = origin.key("reward_preset")
    if state.value(key) not in found:  # nothing has been chosen yet, or what was has been deleted
        state.put(key, _AS_CLONED if origin.cloned else "robust")
    chosen = st.segmented_control(
        "Reward",
        list(found),
        required=True,
        key=key,
        format_func=_reward_title,
        wrap=True,
        persist_state="session",
    )
    reward = found[str(chosen)]
    if chosen == _AS_CLONED:
        st.caption(f"As in that run: {formula(reward.weights)}.")
    else:
        st.caption(PRESET_NOTES.get(reward.preset, f"Saved on the Rewards page: {formula(reward.weights)}."))
    return reward


def _reward_title(name: str) -> str:
    return "As in that run" if name == _AS_CLONED else output.escape(preset_title(name))
