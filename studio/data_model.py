"""Which model the data is prepared for: its tokenizer and chat template decide what it reads and how long a text is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import streamlit as st

from core.chat import ChatModel
from core.config import EMBEDDED_POLICY
from core.data.draft import Draft
from core.data.tables import Table
from core.errors import ModelError
from core.models import EMBEDDED
from core.paths import Home
from studio import data_draft, output, state

_REMEMBERED_SECONDS = 60
"""How long what came of asking the hub for a tokenizer is taken as true, so that a page without network stays quick."""

Kind = Literal["embedded", "local", "hub"]
_KINDS: dict[Kind, str] = {"embedded": "Embedded", "local": "Local directory", "hub": "Hugging Face id"}


def kind_of(model: str) -> Kind:
    """How a model is named.

    >>> kind_of("smollm2-135m-instruct"), kind_of("org/model"), kind_of("/models/mine")
    ('embedded', 'hub', 'local')
    """
    if model in EMBEDDED:
        return "embedded"
    return "local" if model.startswith(("/", "~", ".")) or Path(model).is_dir() else "hub"


def opened(home: Home, name: str) -> ChatModel:
    """The tokenizer and chat template of a model.

    Raises:
        ModelError: they cannot be had.
    """
    if kind_of(name) != "hub":
        return ChatModel.open(name, home)
    found = _asked(name, str(home.root))
    if isinstance(found, str):
        raise ModelError(found)
    return found


@st.cache_resource(ttl=_REMEMBERED_SECONDS, max_entries=8, show_spinner="Fetching the model's tokenizer")
def _asked(name: str, root: str) -> ChatModel | str:
    try:
        return ChatModel.open(name, Home(Path(root)))
    except ModelError as error:
        return str(error)


def choose(table: Table, draft: Draft) -> None:
    """Asks for the model; the one chosen before stays until another is named."""
    kind_key, name_key = f"{table.id}.model_kind", f"{table.id}.model_name"
    kind = st.segmented_control(
        "Model",
        list(_KINDS),
        default=kind_of(draft.model),
        required=True,
        format_func=_KINDS.__getitem__,
        key=kind_key,
        help="Its own tokenizer and chat template decide what it reads and how long a text is.",
        on_change=_keep_kind,
        args=(table,),
    )
    if kind == "embedded":
        st.caption(f"{EMBEDDED[EMBEDDED_POLICY].title}: comes with the studio and needs no network.")
        return
    if kind_of(draft.model) == kind:
        state.show(name_key, draft.model)
    label, placeholder = ("Model folder", "/models/my-model") if kind == "local" else ("Hugging Face id", "org/model")
    st.text_input(label, key=name_key, placeholder=placeholder, on_change=_keep_model, args=(table,))
    if kind_of(draft.model) != kind:
        st.caption(f"Until one is named, {output.escape(draft.model)} stays chosen.")


def _keep_kind(table: Table) -> None:
    if state.value(f"{table.id}.model_kind") == "embedded":
        data_draft.change(table, {"model": EMBEDDED_POLICY})


def _keep_model(table: Table) -> None:
    name = (state.value(f"{table.id}.model_name") or "").strip()
    if name:
        data_draft.change(table, {"model": name})
