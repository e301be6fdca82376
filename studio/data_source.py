"""The first step of the Data page: where the rows come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from core.data.encoding import LABELS
from core.data.formats import SUFFIXES
from core.data.sources import MEDICAL_REASONING, File, Hub, Peek, Sample, parse_source, peek
from core.data.tables import About, Table, list_tables
from core.errors import StudioError
from core.jobs.tasks import Task
from core.paths import Home
from studio import data_draft, data_tasks, output, state
from studio.uploads import store_upload

_UPLOAD, _PATH = "Upload", "Path on this machine"
_LOOKED_AT = 100
"""Rows at the head of a file that are read at once, to show some and to notice what cannot be read."""
_SHOWN_ROWS = 8
_DELIMITERS = {"": "Find it", ",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Vertical bar"}
_ENCODINGS = {"": "Find it", "utf-8": "UTF-8"} | {
    name: label[0].upper() + label[1:] for name, label in LABELS.items() if not name.startswith("utf")
}


@dataclass(frozen=True)
class Named:
    """A file somebody has uploaded or named: where it lies, and what it is called when that is something else."""

    path: str = ""
    title: str = ""


def choose(home: Home) -> None:
    """Three sources side by side, and the tables made before."""
    data_tasks.explain(None, "import", "")
    left, middle, right = st.columns([5, 3, 4], gap="medium")
    with left, st.container(border=True, height="stretch"):
        st.markdown("**:material/upload_file: A file**")
        file = _file(home)
    with middle, st.container(border=True, height="stretch"):
        st.markdown("**:material/medical_information: Sample questions**")
        st.write("Medical questions with short reference answers. They come with the studio and need no network.")
        _import_button(home, "Use the sample", Sample(), "use_sample")
    with right, st.container(border=True, height="stretch"):
        st.markdown("**:material/cloud_download: Hugging Face data set**")
        _hub(home)
    if file.path:
        with st.container(border=True):
            _look(home, file)
    _made_before(home)


def importing(home: Home, task_id: str) -> None:
    """Follow the task that makes the table; opens the table when it has ended, else says why not and asks again."""
    task = data_tasks.find(home, task_id)
    if task is not None and task.status().live:
        st.write("The rows are read and checked in the background. You may leave this page and come back.")
        data_tasks.follow(task)
        return
    result = None if task is None else task.result()
    if result is not None:
        state.open_table(result["table"])
        st.rerun()
    _explain_import(task)
    choose(home)


def _explain_import(task: Task | None) -> None:
    if task is None:
        output.warning("The import that this address names is not there any more. Choose the source again.")
    data_tasks.explain(task, "", "Nothing was kept of it. Choose the source again.")


def opened(table: Table) -> None:
    """What is open, what was found while reading it, and the way to another source."""
    about = data_draft.about(table)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{output.escape(about.title)}** · {about.rows:,} rows · {len(about.columns)} columns")
        st.button("Another source", icon=":material/swap_horiz:", key="another_source", on_click=state.close_table)
    for note in about.notes:
        st.caption(f":material/info: {output.escape(note)}")
    if about.left_out:
        _left_out(about)
    if not about.rows:
        output.problem("This source holds no rows. Choose another one.")


def _left_out(about: About) -> None:
    count = about.left_out_count
    output.warning(
        f"{count:,} record{'' if count == 1 else 's'} could not be read and {'is' if count == 1 else 'are'} left out."
    )
    with st.expander("What was left out"):
        output.texts([{"Line": str(part.line), "Reason": part.reason} for part in about.left_out], key="left_out")


def _file(home: Home) -> Named:
    """Asks for a file; its path is empty while there is none."""
    way = st.segmented_control(
        "File", [_UPLOAD, _PATH], default=_UPLOAD, required=True, label_visibility="collapsed", key="source_way"
    )
    try:
        file = _uploaded(home) if way == _UPLOAD else _at_path()
    except StudioError as error:
        output.problem(error)
        file = Named()
    kinds, limit = ", ".join(suffix[1:].upper() for suffix in SUFFIXES), st.get_option("server.maxUploadSize")
    st.caption(f"{kinds}. Up to {limit} MB by upload; name the path of a larger file.")
    return file


def _uploaded(home: Home) -> Named:
    file = st.file_uploader(
        "Data file",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        key="source_upload",
        label_visibility="collapsed",
    )
    if file is None:
        return Named()
    return Named(str(store_upload(home, file.name, file.getvalue(), SUFFIXES)), Path(file.name).name)


def _at_path() -> Named:
    path = st.text_input(
        "Path of the data file",
        key="source_path",
        placeholder="/data/questions.csv",
        help="A file that this machine can read. It is never changed.",
    )
    return Named((path or "").strip())


def _look(home: Home, file: Named) -> None:
    """The head of a file at once, how to read it where it does not say so, and the button that reads all of it."""
    st.markdown(f"**{output.escape(file.title or Path(file.path).name)}**, as it begins")
    above = st.container()
    options = _options(file.path)
    with above:
        try:
            source = parse_source({"origin": "file", "path": file.path, "title": file.title, **options})
            assert isinstance(source, File)
            head = peek(source, limit=_LOOKED_AT)
        except StudioError as error:
            output.problem(error)
            return
        _head(head)
    if head.rows:
        _import_button(home, "Use this file", source, "use_file")


def _options(path: str) -> dict[str, object]:
    """The reading options that differ from what is found automatically."""
    with st.expander("If it is not read rightly", icon=":material/tune:"):
        delimiter = st.selectbox(
            "Between cells", list(_DELIMITERS), format_func=_DELIMITERS.__getitem__, key="delimiter"
        )
        encoding = st.selectbox("Text encoding", list(_ENCODINGS), format_func=_ENCODINGS.__getitem__, key="encoding")
        sheet = ""
        if Path(path).suffix.lower() == ".xlsx":
            sheet = st.text_input("Sheet", key="sheet", placeholder="The first one") or ""
        skip = st.toggle(
            "Leave out records that cannot be read",
            key="skip_bad",
            help="They are listed with their lines afterwards. Without this, one bad record refuses the file.",
        )
    chosen = {"delimiter": delimiter, "encoding": encoding, "sheet": sheet.strip()}
    return {"skip_bad": skip, **{name: value for name, value in chosen.items() if value}}


def _head(head: Peek) -> None:
    for note in head.notes:
        st.caption(f":material/info: {output.escape(note)}")
    for problem in head.problems:
        output.warning(problem)
    if head.rows:
        frame = pd.DataFrame(head.rows[:_SHOWN_ROWS], columns=list(head.columns))
        config = {name: st.column_config.TextColumn(name) for name in head.columns}
        st.dataframe(frame, hide_index=True, column_config=config, alt="The first rows of the file")


def _hub(home: Home) -> None:
    preset = MEDICAL_REASONING.source
    st.write("The article's data: medical questions with long answers, in English.")
    _import_button(home, "Use medical-o1", preset, "use_preset")
    with st.expander("Another data set", icon=":material/search:"):
        name = st.text_input("Data set id", key="hub_id", placeholder="owner/name") or ""
        config = st.text_input("Configuration", key="hub_config", placeholder="The only one") or ""
        split = st.text_input("Split", value="train", key="hub_split") or "train"
        try:
            source = (
                parse_source(
                    {"origin": "hub", "id": name.strip(), "config": config.strip() or None, "split": split.strip()}
                )
                if name.strip()
                else None
            )
        except StudioError as error:
            source = None
            output.problem(error)
        _import_button(home, "Download", source, "use_hub")
    st.caption("Needs a network; a gated data set needs HF_TOKEN in the studio's environment.")


def _import_button(home: Home, label: str, source: File | Sample | Hub | None, key: str) -> None:
    arguments = {} if source is None else source.model_dump(mode="json", exclude_none=True)
    st.button(
        label,
        type="primary",
        icon=":material/arrow_forward:",
        key=key,
        disabled=source is None,
        on_click=data_tasks.start,
        args=(home, "import", arguments),
    )


def _made_before(home: Home) -> None:
    tables = list_tables(home)
    if not tables:
        st.caption("Nothing has been opened yet. What you open is kept, so you can come back to it here.")
        return
    st.markdown("**Opened before**")
    frame = pd.DataFrame([_line(table) for table in tables])
    drawn = state.drawn_before("tables", [table.id for table in tables])
    event = st.dataframe(
        frame,
        hide_index=True,
        key="tables",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        alt="Tables made before, the newest first",
        column_config={"Opened": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm")},
    )
    st.caption("Choose a row to open it again, with everything that was decided about it.")
    rows = [*event.selection.rows, *(cell[0] for cell in event.selection.cells)]
    if rows and rows[0] < len(drawn):
        state.open_table(drawn[rows[0]])
        st.rerun()


def _line(table: Table) -> dict[str, object]:
    about = data_draft.about(table)
    return {
        "Source": about.title,
        "Rows": about.rows,
        "Columns": ", ".join(about.columns),
        "Opened": datetime.fromtimestamp(table.file.stat().st_mtime),
    }
