"""Turns a run's configuration into widgets and back: labels stand here, rules and defaults come from `core.config`."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo

from core.config import EMBEDDED_POLICY, PREPARED, SAMPLE, DataConfig, RewardConfig, RunConfig, with_changes
from core.data.formats import SUFFIXES
from core.data.prepared import find, list_prepared, run_config
from core.datasets import TRAIN, Row, read_rows, resolve
from core.errors import DataError, StudioError
from core.models import EMBEDDED
from core.paths import Home
from core.presets import SIZES
from core.reward.formula import PRESET_NOTES, PRESETS
from core.reward.presets import all_presets
from core.reward.verdicts import component_help, component_title
from studio import output, state
from studio.data_model import Kind, kind_of
from studio.uploads import store_upload
from studio.words import formula, preset_title

_EMBEDDED, _LOCAL, _HUB = "Embedded", "Local directory", "Hugging Face id"
_SOURCES: dict[Kind, str] = {"embedded": _EMBEDDED, "local": _LOCAL, "hub": _HUB}
_FILES = "CSV, TSV, JSON, JSON lines, Parquet or Excel (.xlsx)."
Stamp = tuple[tuple[str, int, int], ...]
"""Of each file: its path, when it was last written in nanoseconds, its length in bytes."""
_SAMPLE, _PREPARED, _UPLOAD, _PATH = "Sample", "Prepared", "Upload", "File on this machine"


@dataclass(frozen=True)
class Field:
    """One advanced setting: where it stands in the configuration, its label, what it does."""

    path: str
    label: str
    help: str


TRAIN_FIELDS = (
    Field("train.steps", "Steps", "How often completions are sampled, scored and learned from."),
    Field("train.prompts_per_step", "Prompts per step", "Questions answered in one step; each has a group of its own."),
    Field("train.num_generations", "Completions per group", "Answers to one prompt that are compared with each other."),
    Field("train.max_completion_length", "Max completion length", "In tokens; longer completions are cut off."),
    Field("train.max_prompt_length", "Max prompt length", "In tokens; rows with a longer prompt are left out."),
    Field("train.learning_rate", "Learning rate", "Small models that learn in few steps need a large one."),
    Field(
        "train.temperature", "Temperature", "How freely completions are sampled; without variety nothing is learned."
    ),
    Field("train.beta", "KL weight (beta)", "How strongly the policy is held near the base model; 0 lets it go."),
    Field("train.scale_rewards", "Reward scaling", "What advantages are divided by."),
    Field("adapter.rank", "LoRA rank", "Size of the trained adapter."),
    Field("adapter.alpha", "LoRA alpha", "Scale of the adapter; its effect is alpha divided by rank."),
    Field("train.seed", "Seed", "What is drawn at random: rows, completions, the adapter's start."),
    Field(
        "train.held_out_rows",
        "Held-out questions",
        "Questions of the test split, or else of validation, that are answered before and after training.",
    ),
)


def choice(
    label: str,
    options: list[str],
    key: str,
    titles: dict[str, str] | None = None,
    show_label: bool = True,
    default: str | None = None,
) -> str:
    """A row of options of which exactly one is chosen, at first the default or else the first."""
    shown = titles or {}
    return str(
        st.segmented_control(
            label,
            options,
            default=default or options[0],
            required=True,
            label_visibility="visible" if show_label else "collapsed",
            key=key,
            format_func=lambda option: shown.get(option, option),
            persist_state="session",
        )
    )


def model_name(home: Home) -> str:
    """Asks which model to train, at first the one that the wanted data was prepared for; empty while none is named."""
    wanted = _prepared_for(home, state.wanted_data())
    source = choice("Model", [_EMBEDDED, _LOCAL, _HUB], "model_source", default=_SOURCES[kind_of(wanted)])
    named = {_SOURCES[kind_of(wanted)]: wanted}
    if source == _EMBEDDED:
        model = EMBEDDED[EMBEDDED_POLICY]
        st.caption(f"{model.title}: comes with the studio, needs no network, trains on a processor.")
        return EMBEDDED_POLICY
    if source == _LOCAL:
        note, given = "Holds config.json and .safetensors weights.", named.get(_LOCAL, "")
        return _text("Model folder", "model_folder", "/models/my-model", note, given)
    note, given = "Downloaded when the run starts; needs a network.", named.get(_HUB, "")
    return _text("Hugging Face id", "model_hub_id", "org/model", note, given)


def _prepared_for(home: Home, data: str | None) -> str:
    """The model that a prepared data set was made for; the embedded one when there is no such data set."""
    try:
        return find(home, data).manifest.draft.model if data else EMBEDDED_POLICY
    except DataError:
        return EMBEDDED_POLICY


def data_config(home: Home) -> DataConfig | None:
    """Asks which rows to train on; None while no file is named.

    Raises:
        StudioError: the upload cannot be kept.
    """
    wanted = state.wanted_data()
    sources = [_SAMPLE, _PREPARED, _UPLOAD, _PATH]
    source = choice("Data", sources, "data_source", default=_PREPARED if wanted else _SAMPLE)
    if source == _SAMPLE:
        return DataConfig(path=SAMPLE)
    if source == _PREPARED:
        return _prepared(home, wanted)
    path = _uploaded(home) if source == _UPLOAD else _text("Data file", "data_path", "/data/questions.jsonl", _FILES)
    left, right = st.columns(2)
    with left:
        question = _text("Question column", "question_column", "question", "", value="question")
    with right:
        answer = _text("Answer column", "answer_column", "answer", "", value="answer")
    return DataConfig(path=path, question=question, answer=answer) if path else None


def _prepared(home: Home, wanted: str | None) -> DataConfig | None:
    names = [data.name for data in list_prepared(home)]
    if not names:
        st.caption("Nothing is prepared yet. The Data page makes a data set out of a file, checked and split.")
        return None
    if wanted is not None and wanted not in names:
        output.warning(f"There is no prepared data set {wanted}. Choose another one.")
    index = names.index(wanted) if wanted in names else 0
    name = st.selectbox("Prepared data set", names, index=index, key="prepared_data", persist_state="session")
    return DataConfig(path=f"{PREPARED}{name}")


def suited(base: RunConfig, data: DataConfig | None, home: Home) -> RunConfig:
    """`base` with the prompt and the limits that come with a prepared data set; other data brings none.

    Raises:
        DataError: the data set is not there or broken.
    """
    return base if data is None or data.prepared is None else run_config(base, find(home, data.prepared))


def scope(size: str, data: DataConfig | None, reward: RewardConfig | None = None) -> str:
    """Names what advanced settings start from; without a reward those that do not depend on one."""
    return ".".join(filter(None, (size, _named(reward) if reward else None, data.prepared if data else None)))


def _named(reward: RewardConfig) -> str:
    """The reward's name; with a hash when it was saved by the user, who may save another one under that name."""
    if reward.preset in PRESETS:
        return reward.preset
    return f"{reward.preset}.{hashlib.sha256(reward.model_dump_json().encode()).hexdigest()[:12]}"


def _uploaded(home: Home) -> str:
    file = st.file_uploader("Data file", type=[ending.lstrip(".") for ending in SUFFIXES], key="data_upload")
    return "" if file is None else str(store_upload(home, file.name, file.getvalue()))


def _text(label: str, key: str, placeholder: str, note: str, value: str = "") -> str:
    written = st.text_input(
        label, value=value, key=key, placeholder=placeholder, help=note or None, persist_state="session"
    )
    return (written or "").strip()


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


def reward_preset(home: Home) -> RewardConfig:
    """Asks which reward to train with: a built-in one, or one that was saved on the Rewards page."""
    found = all_presets(home)
    if state.value("reward_preset") not in found:  # nothing has been chosen yet, or what was has been deleted
        state.show("reward_preset", "robust")
    chosen = st.segmented_control(
        "Reward",
        list(found),
        required=True,
        key="reward_preset",
        format_func=lambda name: output.escape(preset_title(name)),
        wrap=True,
        persist_state="session",
    )
    reward = found[str(chosen)]
    st.caption(PRESET_NOTES.get(reward.preset, f"Saved on the Rewards page: {formula(reward.weights)}."))
    return reward


def run_size() -> str:
    """Asks how much to train."""
    size = choice("Size", list(SIZES), "run_size", {key: size.title for key, size in SIZES.items()})
    st.caption(SIZES[size].note)
    return size


def advanced(config: RunConfig, scope: str, reward_scope: str) -> RunConfig:
    """Shows the settings of `config` as widgets and returns it with what was changed.

    Args:
        scope: names what `config` was made from, its reward aside; another scope has widgets of its own, so they
            start from its values.
        reward_scope: the same for the widgets of the reward.

    Raises:
        ConfigError: a combination is not allowed.
    """
    changes: dict[str, Any] = {}
    columns = st.columns(3)
    for index, field in enumerate(TRAIN_FIELDS):
        with columns[index % 3]:
            changes[field.path] = _widget(config, field, scope)
    st.caption("Reward weights")
    cells = st.columns(4)
    for index, (name, value) in enumerate(zip(config.reward.components, config.reward.weight_vector, strict=True)):
        changes[f"reward.weights.{name}"] = cells[index % 4].number_input(
            component_title(name),
            value=value,
            step=0.05,
            key=f"{reward_scope}.weight.{name}",
            help=component_help(name),
            persist_state="session",
        )
    with cells[len(config.reward.components) % 4]:
        invalid = Field("reward.invalid_reward", "Invalid completion", "Reward of one without an answer.")
        changes[invalid.path] = _widget(config, invalid, reward_scope)
    return with_changes(config, changes)


def _widget(config: RunConfig, field: Field, scope: str) -> Any:
    """The widget that fits the type of a setting, within the bounds that the configuration sets."""
    info, value, key = field_info(field.path), _value(config, field.path), f"{scope}.{field.path}"
    if get_origin(info.annotation) is Literal:
        options = list(get_args(info.annotation))
        index = options.index(value)
        return st.selectbox(field.label, options, index=index, key=key, help=field.help, persist_state="session")
    low, high = bounds(info)
    if info.annotation is int:
        return st.number_input(
            field.label, _whole(low), _whole(high), int(value), 1, key=key, help=field.help, persist_state="session"
        )
    step = 1.0 if value >= 10 else 0.1 if value >= 0.1 or value <= 0 else float(f"{value / 10:.0e}")
    return st.number_input(
        field.label, low, high, float(value), step, format="%g", key=key, help=field.help, persist_state="session"
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _value(config: RunConfig, path: str) -> Any:
    found: Any = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


def field_info(path: str) -> FieldInfo:
    """What the configuration says about the setting at a dotted path."""
    model: Any = RunConfig
    *parents, leaf = path.split(".")
    for name in parents:
        model = model.model_fields[name].annotation
    info: FieldInfo = model.model_fields[leaf]
    return info


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """The smallest and the largest value a setting may have; None where there is no bound, or an open one."""
    low = next((float(rule.ge) for rule in info.metadata if hasattr(rule, "ge")), None)
    high = next((float(rule.le) for rule in info.metadata if hasattr(rule, "le")), None)
    return low, high
