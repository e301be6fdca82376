"""Whose answers are evaluated: test questions that are asked now, or a batch of the Compare page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.compare.answering import places_to_ask
from core.compare.comparison import Comparison, ComparisonRequest, Question, make_request
from core.errors import StudioError
from core.evaluate.sampling import choose_questions, type_columns, type_of
from core.paths import Home
from core.serving.candidates import Candidate
from core.text import one_line
from studio import (
    compare_answers,
    compare_held_out,
    compare_list,
    compare_names,
    compare_settings,
    compare_state,
    compare_who,
    evaluate_state,
    navigation,
    output,
    state,
    words,
)
from studio.compare_settings import Terms
from studio.evaluate_tables import kind_text

_COUNT, _TYPE, _BASELINE = "evaluate.count", "evaluate.type", "evaluate.baseline"
_LEAST, _FIRST_COUNT, _MOST = 2, 100, 500
_NO_TYPE = ""
_KINDS_TOLD, _KIND_CHARACTERS = 8, 40


@dataclass(frozen=True)
class Answers:
    """What is evaluated, as it is chosen so far.

    Attributes:
        kept: the comparison that is there already; None when its questions are yet to be asked.
        request: who answers what, and how.
        names: of the candidates, no two the same; text from outside.
        type_column: the column that holds the kind of each question; empty for none.
        baseline: the candidate that all others are compared with, by its place.
    """

    kept: Comparison | None
    request: ComparisonRequest
    names: Sequence[str]
    type_column: str
    baseline: int


def choose(home: Home) -> Answers | None:
    """The widgets; None while nothing can be evaluated, which is said."""
    if evaluate_state.source_selector() == evaluate_state.KEPT_ANSWERS:
        return _kept(home)
    return _new(home)


def _new(home: Home) -> Answers | None:
    candidates = compare_who.choose(home, None)
    terms = compare_settings.choose(home, candidates, None)
    there = compare_held_out.held_out(home, terms)
    if len(there) < _LEAST:
        st.info(compare_held_out.NONE_LEFT, icon=":material/info:")
        return None
    if not candidates:
        st.info("Choose at least one model; two or more can be compared.", icon=":material/info:")
        return None
    names = compare_names.names(home, candidates)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        count = _count(len(there))
    with middle:
        column = _type(there)
    with right:
        baseline = _baseline(candidates, names)
    questions = choose_questions(there, count, column, terms.decoding.seed)
    _told(questions, column)
    try:
        request = _request(candidates, terms, questions)
    except StudioError as error:
        output.problem(error)
        return None
    return Answers(None, request, names, column, baseline)


def _request(candidates: Sequence[Candidate], terms: Terms, questions: Sequence[Question]) -> ComparisonRequest:
    return make_request(
        title=f"{len(questions)} test questions, {terms.title}"[:200],
        run=terms.run,
        candidates=tuple(candidates),
        questions=tuple(questions),
        prompt=terms.config.prompt,
        decoding=terms.decoding,
        reward=terms.config.reward,
    )


def _count(there: int) -> int:
    most = min(there, _MOST)
    if most == _LEAST:
        return _LEAST
    if (state.value(_COUNT) or 0) > most:
        state.put(_COUNT, most)
    state.start_with(_COUNT, min(_FIRST_COUNT, most))
    return int(
        st.slider(
            "Test questions",
            _LEAST,
            most,
            key=_COUNT,
            persist_state="session",
            help="More questions show smaller differences. The published protocol asks a hundred: about enough to be "
            "sure of a third of a mark where two models differ by about one mark, up or down, on single questions.",
        )
    )


def _type(questions: Sequence[Question]) -> str:
    """The column by which questions are drawn evenly and results broken down."""
    columns = [*type_columns(questions), _NO_TYPE]
    if state.value(_TYPE) not in columns:
        state.put(_TYPE, columns[0])
    return str(
        st.selectbox(
            "Kind of question",
            columns,
            key=_TYPE,
            format_func=lambda name: one_line(name, _KIND_CHARACTERS) or "Not told apart",
            persist_state="session",
            disabled=len(columns) == 1,
            help="A column of the data such as the question's type. Each kind gets the share of questions that it has "
            "in the data, and results are shown for each kind as well."
            if len(columns) > 1
            else "These data have no column that sorts the questions into kinds.",
        )
        or _NO_TYPE
    )


def _baseline(candidates: Sequence[Candidate], names: Sequence[str]) -> int:
    """The candidate that the others are compared with; the first when nobody has chosen."""
    keys = [str(candidate) for candidate in candidates]
    if state.value(_BASELINE) not in keys:
        state.put(_BASELINE, keys[0])
    chosen = st.selectbox(
        "Baseline",
        keys,
        key=_BASELINE,
        format_func=lambda key: names[keys.index(key)] if key in keys else key,
        persist_state="session",
        disabled=len(keys) == 1,
        help="The model that each of the others is compared with, question by question: usually the model before "
        "training.",
    )
    return keys.index(chosen) if chosen in keys else 0


def _told(questions: Sequence[Question], column: str) -> None:
    """Where the questions come from and of which kinds they are."""
    origin = {"test": "the test split", "validation": "the validation split"}.get(questions[0].split, "the data")
    kinds = Counter(type_of(question, column) for question in questions).most_common() if column else []
    told = ", ".join(f"{count} {one_line(kind_text(kind), _KIND_CHARACTERS)}" for kind, count in kinds[:_KINDS_TOLD])
    more = f" and {len(kinds) - _KINDS_TOLD} more kinds" if len(kinds) > _KINDS_TOLD else ""
    st.caption(
        f"{len(questions)} questions from {origin}, never trained on"
        + (f": {output.escape(told)}{more}." if told else ", drawn by chance.")
    )


def _kept(home: Home) -> Answers | None:
    lines = compare_list.batches(home)
    if not lines:
        st.info("No batch has been answered yet. Ask test questions now, or start a batch.", icon=":material/info:")
        if st.button("Go to Compare", icon=navigation.COMPARE.icon, key="evaluate.compare"):
            st.switch_page(navigation.COMPARE.path, query_params={"view": compare_state.BATCH})
        return None
    told = {line.comparison.id: f"{line.title} · {line.created:%d %b %Y, %H:%M}" for line in lines}
    titles = words.told_apart(told)
    wanted = evaluate_state.wanted_batch()
    current = wanted if wanted in titles else lines[0].comparison.id
    comparison = next(line.comparison for line in lines if line.comparison.id == current)
    request = comparison.request()
    names = compare_names.names(home, request.candidates)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        evaluate_state.batch_selector(titles, current)
    with middle:
        column = _type(request.questions)
    with right:
        baseline = _baseline(request.candidates, names)
    _told_kept(comparison, request, names)
    return Answers(comparison, request, names, column, baseline)


def _told_kept(comparison: Comparison, request: ComparisonRequest, names: Sequence[str]) -> None:
    answers = compare_answers.answers(comparison)
    missing = len(places_to_ask(request, answers))
    counted = f"{len(request.questions):,} questions to {', '.join(names)}."
    asked = f" {missing:,} answers are missing and will be asked for first." if missing else ""
    st.caption(
        f"{output.escape(counted)}{asked} Blind votes on these answers are held against the judges' verdicts when the "
        "vote has ended."
    )
