"""Questions of the Runs page: what runs are called, whether to delete them, what goes into a zip file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.errors import StudioError
from core.paths import Home
from core.runs.files import Size, delete_run, size_of
from core.runs.labels import MOST_TAGS, TAG_CHARACTERS, change_label
from core.runs.lines import RunLine
from studio import output, runs_zips
from studio.dialogs import Answer, ask

_MOST_NAMED = 12
_TAGS_HELP = f"Up to {TAG_CHARACTERS} characters each; type a new one and press Enter. At most {MOST_TAGS} on a run."


@st.dialog("Title and tags", icon=":material/label:")
def label(lines: Sequence[RunLine]) -> None:
    """Ask what runs are to be called and tagged with."""
    one = lines[0] if len(lines) == 1 else None
    shared = [tag for tag in lines[0].label.tags if all(tag in line.label.tags for line in lines)]
    title, note = None, None
    if one:
        output.labelled("Run", one.run.id)
        title = st.text_input("Title", one.title, max_chars=120, key=f"runs.title {one.run.id}")
    else:
        _named(lines)
    chosen = st.multiselect(
        "Tags" if one else "Tags of all of them",
        shared,
        shared,
        accept_new_options=True,
        key=f"runs.tags {' '.join(line.run.id for line in lines)}",
        placeholder="Type a tag",
        help=_TAGS_HELP,
    )
    if one:
        note = st.text_area("Note", one.label.note, max_chars=4000, key=f"runs.note {one.run.id}")
    if st.button("Save", type="primary", key="runs.label.save"):
        gone = [tag for tag in shared if tag not in chosen]
        try:
            for line in lines:
                written = None if title is None or title == line.title else title
                change_label(line.run, title=written, note=note, add=chosen, remove=gone)
        except StudioError as error:
            output.problem(error)
            return
        st.rerun()


def delete(home: Home, lines: Sequence[RunLine]) -> None:
    """Name the runs and the room they free, then delete them if that is agreed to."""
    busy = [line for line in lines if line.status.live or line.status.state == "queued"]
    agree = Answer("Delete", "runs.delete.yes", partial(_delete, home, lines), primary=True)
    answers = (*([] if busy else [agree]), Answer("Keep", "runs.delete.no"))
    ask("Delete for good?", ":material/delete:", partial(_what_goes, lines, busy), answers)


def _what_goes(lines: Sequence[RunLine], busy: Sequence[RunLine]) -> None:
    if busy:
        output.problem(f"{busy[0].run.id} is {busy[0].status.state}. Stop it first, or untick it.")
        return
    _named(lines)
    st.write(
        f"This frees {_total([size_of(line.run) for line in lines])}. Configuration, curves, completions, checkpoints "
        "and adapter are removed from this machine and cannot be brought back. Export them first to keep a copy."
    )


def _delete(home: Home, lines: Sequence[RunLine]) -> None:
    with st.spinner("Deleting"):
        for line in lines:
            delete_run(home, line.run)


@st.dialog("Export as zip", icon=":material/folder_zip:")
def export(home: Home, lines: Sequence[RunLine]) -> None:
    """Ask what goes along, then start packing."""
    _named(lines)
    st.write("Configuration, label, curves, completions, held-out answers and the trained adapter, in one zip a run.")
    checkpoints = st.checkbox(
        "With checkpoints",
        key="runs.export.checkpoints",
        help="Needed to go on with the training elsewhere. They make the file several times larger.",
    )
    if st.button("Export", type="primary", key="runs.export.yes"):
        runs_zips.start(home, [line.run.id for line in lines], checkpoints)
        st.rerun()


def _named(lines: Sequence[RunLine]) -> None:
    """The runs by id and title, one a line."""
    names = [f"{line.run.id}  {line.title}".rstrip() for line in lines]
    more = len(names) - _MOST_NAMED
    st.text("\n".join([*names[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]))


def _total(sizes: Sequence[Size]) -> Size:
    return Size(sum(size.bytes for size in sizes), all(size.whole for size in sizes))
