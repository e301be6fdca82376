"""Zip files of runs: packing them, handing them out, and bringing them in."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from core.errors import StudioError
from core.jobs.tasks import newest_task
from core.paths import Home
from core.runs.export import exports_folder
from core.runs.importing import import_run
from studio import access, data_tasks, output

_KIND = "export_run"
_LARGEST_DOWNLOAD = 500_000_000
"""In bytes; the server holds a download in memory."""
_LARGEST_UPLOAD_MB = 500
_AGAIN = "Nothing was packed. Export again."


def start(home: Home, run_ids: Sequence[str], checkpoints: bool) -> None:
    """Begin to pack runs; the page finds the task again by its kind."""
    data_tasks.start(home, _KIND, {"runs": list(run_ids), "checkpoints": checkpoints})


def newest(home: Home) -> None:
    """How far the last export is, why it failed, or its files to be downloaded."""
    task = newest_task(home, _KIND, {})
    data_tasks.explain(task, _KIND, _AGAIN)
    if task is None:
        return
    if task.status().live:
        data_tasks.follow(task)
        return
    files = [exports_folder(home) / name for name in (task.result() or {"files": []})["files"]]
    there = [file for file in files if file.is_file()]
    if there:
        with st.expander("Packed last", expanded=True, icon=":material/folder_zip:"):
            for file in there:
                _handed_out(file)


def _handed_out(file: Path) -> None:
    size = file.stat().st_size
    with st.container(horizontal=True, vertical_alignment="center"):
        if size <= _LARGEST_DOWNLOAD:
            access.download_button(
                "Download",
                partial(_opened, file),
                subject=file.stem,
                file_name=file.name,
                mime="application/zip",
                key=f"runs.download {file.name}",
                icon=":material/download:",
                on_click="ignore",
            )
        st.text(f"{file.name}, {size / 1e6:,.1f} MB")
    if size > _LARGEST_DOWNLOAD:
        output.labelled("Too large for the browser; it lies at", str(file))


def _opened(file: Path) -> BinaryIO:
    return file.open("rb")


@st.dialog("Bring in a run", icon=":material/upload_file:", on_dismiss="rerun")
def bring_in(home: Home) -> None:
    """Ask for a zip file that a studio has packed, then unpack the run in it."""
    upload = st.file_uploader(
        "Zip file of a run", type="zip", key="runs.import.file", max_upload_size=_LARGEST_UPLOAD_MB
    )
    st.caption(f"Made with Export, here or in another studio. Above {_LARGEST_UPLOAD_MB} MB use the command line:")
    st.code("python -m core import-run FILE", language=None)
    if st.button("Bring it in", type="primary", key="runs.import.yes", disabled=upload is None) and upload is not None:
        _bring_in(home, upload.name, upload.getbuffer())


def _bring_in(home: Home, name: str, content: memoryview) -> None:
    with tempfile.NamedTemporaryFile(dir=exports_folder(home), prefix=".upload-", suffix=".zip") as file:
        file.write(content)
        file.flush()
        try:
            with st.spinner("Unpacking"):
                imported = import_run(home, Path(file.name))
        except StudioError as error:
            output.problem(str(error).replace(Path(file.name).name, name))  # the user knows it by no other name
            return
    st.success(f"It is in the list as {output.escape(imported.run.id)}.", icon=":material/check_circle:")
    for note in imported.notes:
        output.warning(note)
