"""The test questions of the data that the chosen run was trained on, read once and offered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.compare.comparison import Question
from core.compare.questions import held_out_questions
from core.errors import StudioError
from core.paths import Home
from core.presets import preset_config
from core.runs.run import find_run
from core.text import one_line
from studio import output
from studio.compare_settings import Terms

_OFFERED = 300
"""So many questions can be picked by hand; more make the box slow."""
_TITLE_CHARACTERS = 140
_QUESTION = "compare.test"
NONE_LEFT = (
    "This data holds out no questions for a test. Split it on the Data page, choose another run's prompt and reward, "
    "or ask a question of your own."
)


@st.cache_data(ttl=300, max_entries=20, show_spinner="Reading the test questions")
def _read(root: str, run: str) -> list[Question]:
    home = Home(Path(root))
    return list(held_out_questions(home, find_run(home, run).config() if run else preset_config()))


def held_out(home: Home, terms: Terms) -> Sequence[Question]:
    """The questions of the data's test split, or of validation where there is none; data that is gone is said."""
    try:
        return _read(str(home.root), terms.run)
    except StudioError as error:
        output.problem(error)
        return ()


def choose(home: Home, terms: Terms) -> Question | None:
    """A select box of test questions; None when there are none."""
    questions = held_out(home, terms)[:_OFFERED]
    if not questions:
        st.info(NONE_LEFT, icon=":material/info:")
        return None
    place = st.selectbox(
        "Test question",
        range(len(questions)),
        key=_QUESTION,
        format_func=lambda number: f"{number + 1}. {one_line(questions[number].text, _TITLE_CHARACTERS)}",
        label_visibility="collapsed",
    )
    return questions[place or 0]


def badge(question: Question) -> None:
    """Says that a question has not been trained on."""
    if question.split == "test":
        st.badge("From the test split, never trained on", icon=":material/verified:", color="green")
    else:
        st.badge("From validation, not trained on", icon=":material/verified:", color="blue")
