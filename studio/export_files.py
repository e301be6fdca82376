"""The view Files of the Export page: every form with its size, its SHA-256, how it answers, and its download."""

from __future__ import annotations

import streamlit as st

from core.export.manifest import FileEntry
from core.export.request import FORM_TITLES, GGUF_FORMS, Form
from core.export.store import MANIFEST
from core.paths import Home
from studio import downloads, export_delete, export_words, output
from studio.export_open import Opened

_WEIGHTS = (".gguf", ".safetensors")


def draw(home: Home, found: Opened, running: bool) -> None:
    """The forms in the order in which they are made, then what goes with them."""
    for form in found.request.forms:
        _form(found, form)
    if found.made:
        _beside(found)
    with st.container(horizontal=True, vertical_alignment="center"):
        if found.made and not running:
            downloads.button(
                "Everything as a zip",
                found.export,
                ".",
                "export.zip",
                packed=True,
                icon=":material/folder_zip:",
                help_text="Packed while it is sent, so it needs no room here.",
            )
        if not running:
            export_delete.button(home, found)
    output.labelled("Folder on the machine of the studio", str(found.export.folder))


def _form(found: Opened, form: Form) -> None:
    made = form in found.made
    badge = export_words.parity_badge(found.report, form) if made else export_words.NOT_MADE
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                st.markdown(f"**{FORM_TITLES[form]}**", width="content")
                st.badge(badge.label, icon=badge.icon, color=badge.colour)
            if made:
                _download(found, form)
        st.caption(export_words.FORM_NOTES[form])
        if made:
            _files(found, form)


def _download(found: Opened, form: Form) -> None:
    place, size = found.path(found.export.place_of(form)), export_words.size_words(found.export.bytes_of(form))
    packed = form not in GGUF_FORMS
    label = f"Download as a zip ({size})" if packed else f"Download ({size})"
    downloads.button(label, found.export, place, f"export.download.{form}", packed=packed, primary=True)


def _files(found: Opened, form: Form) -> None:
    """The files of a form; a GGUF form has one, a folder names its weights and folds the others away."""
    entries = found.manifest.under(found.path(found.export.place_of(form)))
    weights = [entry for entry in entries if entry.path.endswith(_WEIGHTS)]
    others = [entry for entry in entries if entry not in weights]
    for entry in weights:
        _hash(entry)
    if others:
        with st.expander(f"{len(entries)} files"):
            for entry in entries:
                _file(found, entry)


def _hash(entry: FileEntry) -> None:
    with st.container(gap=None):
        st.caption(f"SHA-256 of {output.escape(entry.path.rpartition('/')[2])}")
        st.code(entry.sha256, language=None)


def _file(found: Opened, entry: FileEntry) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(gap=None, width="stretch"):
            st.text(f"{entry.path} · {export_words.size_words(entry.bytes)}")
            st.caption(entry.sha256)
        downloads.button("Download", found.export, entry.path, f"export.file.{entry.path}")


def _beside(found: Opened) -> None:
    """What lies beside the forms: commands, system prompt, Modelfiles, and the manifest itself."""
    forms = [found.path(found.export.place_of(form)) for form in found.made]
    belonging = {entry.path for prefix in forms for entry in found.manifest.under(prefix)}
    others = [entry for entry in found.manifest.files if entry.path not in belonging]
    with st.expander("Texts that go with it"):
        for entry in others:
            _file(found, entry)
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.text(f"{MANIFEST}: every file with its size and SHA-256", width="stretch")
            downloads.button("Download", found.export, MANIFEST, "export.file.manifest")
