"""Brings sample completions to the Rewards page: a file, pasted text, or fresh ones from a model."""

from __future__ import annotations

import streamlit as st

from core.data.formats import SUFFIXES
from core.errors import StudioError
from core.lab.board import Board
from core.lab.board_files import board_from_file, board_from_text
from core.lab.boards import delete_board, list_boards, save_board
from core.paths import Home
from studio import access, lab_fresh, lab_state, output, state
from studio.uploads import store_upload

_WAYS = ("Upload a file", "Paste answers", "Write fresh ones")
_WAY, _FILE = "lab.add.way", "lab.add.file"
_QUESTION, _REFERENCE, _ANSWERS = "lab.add.question", "lab.add.reference", "lab.add.answers"
_ADD = "lab.add"
_NAME_CHARACTERS = 40


def button(home: Home, board_id: str) -> None:
    """The button behind which completions are brought in, and the open ones deleted when they are the user's own."""
    with st.popover("Add answers", icon=":material/add:", width="stretch", key=lab_state.ADD_OPEN, on_change="rerun"):
        way = st.segmented_control(
            "Where from", _WAYS, default=_WAYS[0], required=True, key=_WAY, label_visibility="collapsed"
        )
        if way == _WAYS[0]:
            _upload(home)
        elif way == _WAYS[1]:
            _paste(home)
        else:
            lab_fresh.form(home)
        problem = state.refusal(_ADD)
        if problem and way != _WAYS[2]:
            output.problem(problem)
        if any(board.id == board_id for board in list_boards(home)) and access.button(
            "board.delete",
            "Delete the open ones",
            key="lab.add.delete",
            icon=":material/delete:",
            type="tertiary",
            on_click=state.show,  # closed, since it would cover the question
            args=(lab_state.ADD_OPEN, False),
        ):
            _confirm_delete(home, board_id)


@st.dialog("Delete these sample completions?", icon=":material/delete:")
def _confirm_delete(home: Home, board_id: str) -> None:
    """Ask, then delete a kept board."""
    title = next((board.about.title for board in list_boards(home) if board.id == board_id), board_id)
    output.labelled("Sample completions", title)
    st.write("They and all that was measured of them are removed from this machine. Votes on them stay.")
    with st.container(horizontal=True):
        delete = st.button("Delete", type="primary", key="lab.add.delete.yes")
        keep = st.button("Keep", key="lab.add.delete.no")
    if delete:
        try:
            delete_board(home, board_id)
        except StudioError as error:
            output.problem(error)
            return
    if delete or keep:
        st.rerun()


def _upload(home: Home) -> None:
    st.file_uploader(
        "File with answers", type=[suffix.removeprefix(".") for suffix in SUFFIXES], key=_FILE, max_upload_size=50
    )
    st.caption(
        "Columns: question, answer (the reference), completion; and if you have them group, kind and grade (higher is "
        "better). Rows with the same question are compared with each other."
    )
    access.button(
        "board.save", "Use this file", key="lab.add.use_file", type="primary", on_click=_keep_upload, args=(home,)
    )


def _paste(home: Home) -> None:
    st.text_input("Question", key=_QUESTION)
    st.text_input("Reference answer", key=_REFERENCE, help="What a good answer says. Similarity compares with it.")
    st.text_area(
        "Answers to compare",
        key=_ANSWERS,
        height=180,
        placeholder="<reasoning>…</reasoning><answer>…</answer>\n\n<reasoning>…</reasoning><answer>…</answer>",
        help="With a blank line between two answers, or a line of dashes where answers hold blank lines themselves.",
    )
    access.button(
        "board.save", "Use these answers", key="lab.add.use_paste", type="primary", on_click=_keep_pasted, args=(home,)
    )


def _keep_upload(home: Home) -> None:
    file = state.value(_FILE)
    if file is None:
        state.refuse(_ADD, "Choose a file first.")
        return
    kept = file.name
    try:
        path = store_upload(home, file.name, file.getvalue(), SUFFIXES)
        kept = path.name
        _open(home, board_from_file(path, file.name))
    except StudioError as error:
        state.refuse(_ADD, str(error).replace(kept, file.name))  # the user knows it by no other name


def _keep_pasted(home: Home) -> None:
    question, reference, answers = ((state.value(key) or "").strip() for key in (_QUESTION, _REFERENCE, _ANSWERS))
    if not question or not answers:
        state.refuse(_ADD, "Type the question and paste at least one answer to it.")
        return
    try:
        _open(home, board_from_text(question, reference, answers, _title(question)))
    except StudioError as error:
        state.refuse(_ADD, str(error))


def _title(question: str) -> str:
    """What a board of pasted answers is called."""
    text = " ".join(question.split())
    return f"Pasted: {text[:_NAME_CHARACTERS]}{'…' if len(text) > _NAME_CHARACTERS else ''}"


def _open(home: Home, board: Board) -> None:
    lab_state.open_board(save_board(home, "answers", board))
    state.accept(_ADD)
    state.show(lab_state.ADD_OPEN, False)
