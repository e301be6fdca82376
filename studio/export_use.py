"""The view Ready to run of the Export page: commands, Modelfiles and model cards to read and to copy."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import StudioError
from core.export.commands import MODELFILE, SYSTEM, Commands, commands_of, modelfile_name
from core.export.request import FORM_TITLES, GGUF_FORMS
from core.export.store import CARD, adapter_to_export
from core.export.task import export_task
from core.paths import Home
from studio import forms, output
from studio.export_open import Opened

_MOST_BYTES = 500_000
_TEXT_HEIGHT = 420


def draw(home: Home, found: Opened, running: bool) -> None:
    """Commands first, then the texts that they use, and the card."""
    if not found.made or not _cards(found):
        st.info(
            "Commands and model card are written when the forms are made." if running else "Nothing is made yet.",
            icon=":material/hourglass_empty:",
        )
        return
    _commands(home, found)
    _system(found)
    _modelfiles(found)
    _card(found)


def _commands(home: Home, found: Opened) -> None:
    st.subheader("How to run it", anchor=False)
    st.caption("Unpack Everything as a zip, from the view Files, and run these lines in its folder.")
    try:
        rank = adapter_to_export(home, found.request).rank
        programs = commands_of(found.export, found.config(), rank, _ollama_refusal(home, found))
    except StudioError as error:
        output.problem(error)
        return
    if programs:
        chosen = forms.choice(
            "Program", [one.program for one in programs], f"export.program.{found.id}", show_label=False
        )
        _program(next(one for one in programs if one.program == chosen))


def _program(shown: Commands) -> None:
    with st.container(border=True):
        st.write(output.escape(shown.note))
        if shown.lines:
            st.code("\n".join(shown.lines), language=None, wrap_lines=True)


def _ollama_refusal(home: Home, found: Opened) -> str:
    """Why there is no Modelfile; empty when there is one, or no form that needs one."""
    wanted = [form for form in GGUF_FORMS if form in found.made]
    if not wanted or (found.export.form_folder(wanted[0]) / modelfile_name(wanted[0])).is_file():
        return ""
    task = export_task(home, found.export)
    notes = (task.result() or {}).get("notes") if task is not None and task.status().state == "finished" else None
    return notes[0] if notes else "There is no Modelfile for this model. Use llama.cpp with --jinja."


def _system(found: Opened) -> None:
    file = next((one for one in _beside(found, SYSTEM)), None)
    if file is not None:
        st.subheader("System prompt", anchor=False)
        st.caption("The model was trained with this text. Without it, it answers differently.")
        _text(file)


def _modelfiles(found: Opened) -> None:
    """The Modelfile of each GGUF form, for Ollama."""
    there = {
        FORM_TITLES[form]: found.export.form_folder(form) / modelfile_name(form)
        for form in GGUF_FORMS
        if form in found.made and (found.export.form_folder(form) / modelfile_name(form)).is_file()
    }
    if there:
        st.subheader(f"{MODELFILE} for Ollama", anchor=False)
        chosen = forms.choice("Form", list(there), f"export.modelfile.{found.id}", show_label=False)
        _text(there[chosen])


def _card(found: Opened) -> None:
    st.subheader("Model card", anchor=False)
    st.caption("Lies beside the weights, and is what the Hugging Face Hub shows. Shown as it is written.")
    there = {file.parent.name: file for file in _cards(found)}
    chosen = forms.choice("Of", list(there), f"export.card.{found.id}", show_label=False)
    _text(there[chosen], _TEXT_HEIGHT)


def _cards(found: Opened) -> list[Path]:
    return _beside(found, CARD)


def _beside(found: Opened, name: str) -> list[Path]:
    """The files of this name in the folders of the forms that are made, each once."""
    folders = dict.fromkeys(found.export.form_folder(form) for form in found.made)
    return [folder / name for folder in folders if (folder / name).is_file()]


def _text(file: Path, height: int | None = None) -> None:
    """A text file with a button that copies it."""
    with file.open("rb") as opened:
        text = opened.read(_MOST_BYTES).decode("utf-8", "replace")
    st.code(text, language=None, wrap_lines=True, height=height or "content")
