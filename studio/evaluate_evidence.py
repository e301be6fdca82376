"""The view Evidence of the Evaluate page: the report and the data behind it, as files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import streamlit as st

from core.evaluate.report import FILES, PACK, REPORT, report_folder
from core.paths import Home
from studio import access, evaluate_delete, evaluate_open, evaluate_progress
from studio.evaluate_open import Opened

_MIMES = {
    ".html": "text/html",
    ".zip": "application/zip",
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
}
_NOTES = {
    "answers.csv": "Every answer with its automatic metrics, a line each, for a spreadsheet.",
    "verdicts.csv": "Every mark and reason of every judge, a line each.",
    "scores.csv": "Every score as the statistics were counted from them: count them again elsewhere.",
    "answers.jsonl": "The answers as JSON Lines.",
    "verdicts.jsonl": "The verdicts as JSON Lines, with the judge's settings and the hash of its prompt.",
    "results.json": "All statistics.",
    "settings.json": "Models, prompt, sampling, reward and judges, as they were set.",
}


def draw(home: Home, found: Opened, running: bool) -> None:
    """The report first, then the single files."""
    folder = report_folder(found.evaluation)
    there = [folder / name for name in FILES if (folder / name).is_file()]
    if not there:
        st.info("The evidence pack is written when the evaluation ends.", icon=":material/hourglass_empty:")
    else:
        st.write(
            "One file for readers and one with everything. The report opens without a network in any browser and "
            "prints to PDF. It holds the set-up, the data's fingerprint, the prompt, the reward, the judges' settings, "
            "all statistics, safety, votes, every answer with its verdicts, and what the results do not show."
        )
        if not evaluate_open.report_is_current(found):
            st.warning(
                "The results have been counted since this pack was written. Count again to write it anew.",
                icon=":material/history:",
            )
        _main(found, there)
        _single(found, [file for file in there if file.name not in (REPORT, PACK)])
    with st.container(horizontal=True, vertical_alignment="center"):
        evaluate_progress.count_again(home, found, "evaluate.count_again", disabled=running)
        evaluate_delete.button(home, found)


def _main(found: Opened, there: list[Path]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for file in there:
            if file.name == REPORT:
                _download(found, file, f"Report ({_size(file)})", ":material/description:", primary=True)
            elif file.name == PACK:
                _download(found, file, f"Everything as a zip ({_size(file)})", ":material/folder_zip:")
        newest = datetime.fromtimestamp(max(file.stat().st_mtime for file in there))
        st.caption(f"Written {newest:%d %b %Y, %H:%M}")


def _single(found: Opened, files: list[Path]) -> None:
    if not files:
        return
    st.subheader("Single files", anchor=False)
    with st.container(border=True):
        for file in files:
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.markdown(f"**{file.name}** · {_NOTES.get(file.name, '')} {_size(file)}", width="stretch")
                _download(found, file, "Download", ":material/download:")


def _download(found: Opened, file: Path, label: str, icon: str, primary: bool = False) -> None:
    access.download_button(
        label,
        file.read_bytes,
        subject=found.id,
        file_name=f"{found.id}-{file.name}",
        mime=_MIMES.get(file.suffix, "application/octet-stream"),
        icon=icon,
        key=f"evaluate.file.{file.name}",
        type="primary" if primary else "secondary",
        on_click="ignore",
    )


def _size(file: Path) -> str:
    """How large a file is, in the units that file managers use."""
    size = float(file.stat().st_size)
    for unit in ("bytes", "kB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} MB"
