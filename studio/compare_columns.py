"""The answers to one question side by side: written before one's eyes, then with reward, reference and difference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import streamlit as st

from core.compare import asking
from core.compare.asking import Asked, Column
from core.compare.comparison import ComparedAnswer, ComparisonRequest, Question
from core.compare.difference import word_difference
from core.config import Tags
from core.paths import Home
from core.reward.parsing import parse
from studio import compare_answers, compare_card, compare_names, compare_settings, live, output
from studio.compare_open import Opened
from studio.words import Colour

_REPAINT_SECONDS = 0.25
_ACROSS = 4
_QUESTION_PIXELS = 160
_ORIGINS: Mapping[str, tuple[str, Colour, str]] = {
    "typed": ("Your question", "gray", "Typed by you."),
    "test": ("Test split, never trained on", "green", "Held out of every training on this data."),
    "validation": ("Validation split, not trained on", "blue", "Watched during training, but never learned from."),
    "train": ("Training split", "orange", "The run has been trained on this question."),
}
"""What the badge of a question says, its colour, and what it means, by where the question comes from."""


def draw(home: Home, opened: Opened) -> None:
    """The columns; they redraw themselves while answers are written, and stand still afterwards."""
    comparison, request = opened.comparison, opened.request
    names = compare_names.names(home, request.candidates)
    asked = asking.find_asked(comparison.id)
    writing = asked is not None and asked.live
    live.refreshing(_columns, _REPAINT_SECONDS if writing else None, opened, names, writing)
    if not writing:
        answers = of_question(compare_answers.answers(comparison), 0)
        beneath(request, names, request.questions[0], answers)


def question(asked: Question) -> None:
    """A question in full."""
    with compare_card.text_box(asked.text, pixels=_QUESTION_PIXELS):
        output.labelled("Question", compare_card.shown(asked.text))


def origin(asked: Question) -> None:
    """A badge that says where a question comes from, and so whether it can have been learned."""
    label, colour, meaning = _ORIGINS[asked.split]
    st.badge(label, color=colour, help=meaning)


def of_question(answers: Iterable[ComparedAnswer], number: int) -> dict[int, ComparedAnswer]:
    """The answers to the question at this place, by the places of the candidates."""
    return {answer.candidate: answer for answer in answers if answer.question == number}


def _columns(opened: Opened, names: Sequence[str], writing: bool) -> None:
    """The columns as they stand now.

    Args:
        writing: whether the page was drawn while answers were written; it is drawn again when that is over.
    """
    comparison, request = opened.comparison, opened.request
    asked = asking.find_asked(comparison.id)
    if writing and not (asked and asked.live):
        st.rerun()
    answers = of_question(compare_answers.answers(comparison), 0)
    side_by_side(request, names, answers, asked if writing else None)


def side_by_side(
    request: ComparisonRequest,
    names: Sequence[str],
    answers: dict[int, ComparedAnswer],
    asked: Asked | None = None,
) -> None:
    """A column for each candidate, at most four across.

    Args:
        names: of the candidates, text from outside.
        asked: what is being written, when something is.
    """
    places = range(len(request.candidates))
    across = math.ceil(len(places) / math.ceil(len(places) / _ACROSS))
    for start in range(0, len(places), across):
        row = places[start : start + across]
        for place, column in zip(row, st.columns(across), strict=False):
            with column, st.container(border=True, height="stretch"):
                st.markdown(f"**{output.escape(names[place])}**")
                answer = answers.get(place)
                if asked and (answer is None or asked.columns[place].answer is None):
                    _under_way(asked.columns[place])
                elif answer is None:
                    st.caption("No answer: asking was broken off before this one had ended.")
                else:
                    compare_card.draw(answer, request.reward, request.prompt.tags, alone=len(request.questions) == 1)
                    if asked and asked.columns[place].phase == asking.SCORING:
                        st.caption(":material/pending: Scoring")


def _under_way(column: Column) -> None:
    """What there is of an answer that is being written, and what its model is busy with."""
    if column.error:
        output.problem(column.error)
    if column.text:
        with compare_card.text_box(column.text, follow=True):
            st.text(compare_card.shown(column.text), width="stretch")
    counted = f" · {compare_card.token_count(column.pieces)}" if column.pieces else ""
    st.caption(f":material/pending: {output.escape(column.phase.capitalize())}{counted}")


def beneath(
    request: ComparisonRequest, names: Sequence[str], asked: Question, answers: dict[int, ComparedAnswer]
) -> None:
    """What the answers are held against: the reference answer, and the first column word by word."""
    if asked.reference:
        with st.container(border=True):
            output.labelled("Reference answer", compare_card.shown(asked.reference))
    elif any(answer.reward is not None for answer in answers.values()):
        st.caption("There is no reference answer to this question, so similarity has no opinion and adds nothing.")
    _differences(request, names, answers)
    st.caption(f"Asked with {compare_settings.told(request.decoding)}. A higher reward is not a more correct answer.")


def _differences(request: ComparisonRequest, names: Sequence[str], answers: dict[int, ComparedAnswer]) -> None:
    """How each further answer differs from the first."""
    written = {place: answer for place, answer in answers.items() if answer.text.strip()}
    if len(written) < 2:
        return
    first, *others = sorted(written)
    with st.expander("What differs, word by word", expanded=True, icon=":material/difference:"):
        name = output.escape(names[first])
        st.caption(
            f"Compared with **{name}**: what it says and the other does not is struck out on red, what only the other "
            "says is bold on green."
        )
        for place in others:
            found = word_difference(*(_read(written[one].text, request.prompt.tags) for one in (first, place)))
            same = "the same words" if found.same else f"{found.shared:.0%} of the words in common"
            st.markdown(f"**{output.escape(names[place])}**, {same}")
            with compare_card.text_box(written[place].text):
                output.difference(found)


def _read(text: str, tags: Tags) -> str:
    """What is read of an answer: its reasoning and its answer, without tags."""
    return parse(text, tags).plain
