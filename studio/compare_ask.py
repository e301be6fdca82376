"""The view Ask: one question to all who are chosen, answered side by side, and every question asked before."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.compare import asking
from core.compare.answering import places_to_ask, to_score
from core.compare.comparison import (
    ComparedAnswer,
    Comparison,
    ComparisonRequest,
    Question,
    create_comparison,
    make_request,
)
from core.compare.questions import where_seen
from core.errors import StudioError
from core.paths import Home
from core.runs.run import find_run
from core.serving.candidates import Candidate
from core.text import one_line
from studio import (
    access,
    compare_answers,
    compare_columns,
    compare_delete,
    compare_held_out,
    compare_list,
    compare_sealed,
    compare_settings,
    compare_state,
    forms,
    output,
    state,
)
from studio.access import Offer
from studio.compare_open import Opened
from studio.compare_settings import Terms

_WAY, _OWN, _REFERENCE, _ASK = "compare.way", "compare.own", "compare.reference", "compare.ask"
_NOBODY = "Choose who answers first."
_OWN_WAY, _TEST_WAY = "Your own question", "A test question"


def draw(home: Home, candidates: Sequence[Candidate], terms: Terms, opened: Opened | None) -> None:
    """The box for a question, the answers to the one that is open, and the earlier ones."""
    way = forms.choice("What to ask", [_OWN_WAY, _TEST_WAY], _WAY, show_label=False)
    if way == _OWN_WAY:
        _own(home, candidates, terms)
    else:
        _test(home, candidates, terms)
    problem = state.refusal(_ASK)
    if problem:
        output.problem(problem)
    if opened and compare_sealed.is_sealed(opened):
        compare_sealed.instead(home, opened, compare_state.open_question)
    elif opened:
        _question(home, opened)
        compare_columns.draw(home, opened)
    compare_list.earlier(home, opened)


def _own(home: Home, candidates: Sequence[Candidate], terms: Terms) -> None:
    offer = _offer(home, candidates)
    form = st.form("compare.form", border=False)
    with form, st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width="stretch", gap="small"):
            st.text_area(
                "Your question",
                key=_OWN,
                height=76,
                placeholder="A patient on warfarin starts clarithromycin. What must be watched?",
                label_visibility="collapsed",
            )
            st.text_input(
                "What a good answer says",
                key=_REFERENCE,
                placeholder="What a good answer says, if you know it: similarity compares with it (optional)",
                label_visibility="collapsed",
            )
        asked = st.form_submit_button(
            "Ask",
            icon=":material/send:",
            type="primary",
            key="compare.ask.own",
            disabled=offer.disabled,
            help=offer.help,
        )
    if asked:
        _start_own(home, candidates, terms)


def _test(home: Home, candidates: Sequence[Candidate], terms: Terms) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        question, asked = compare_held_out.choose(home, terms), False
        if question:
            offer = _offer(home, candidates)
            asked = st.button(
                "Ask",
                icon=":material/send:",
                type="primary",
                key="compare.ask.test",
                disabled=offer.disabled,
                help=offer.help,
            )
    if question:
        compare_held_out.badge(question)
        if asked:
            _start(home, candidates, terms, question)


def _offer(home: Home, candidates: Sequence[Candidate]) -> Offer:
    return access.asking(home, candidates) if candidates else Offer(True, _NOBODY)


def _start_own(home: Home, candidates: Sequence[Candidate], terms: Terms) -> None:
    text, reference = ((state.value(key) or "").strip() for key in (_OWN, _REFERENCE))
    if not text:
        state.refuse(_ASK, "Type a question first.")
        return
    _start(home, candidates, terms, Question(id=secrets.token_hex(4), text=text, reference=reference))


def _start(home: Home, candidates: Sequence[Candidate], terms: Terms, question: Question) -> None:
    """Ask, and open the answers.

    Not a callback: what was typed a moment ago in another field must count, too.
    """
    try:
        request = make_request(
            title=one_line(question.text),
            run=terms.run,
            candidates=tuple(candidates),
            questions=(question,),
            prompt=terms.config.prompt,
            decoding=terms.decoding,
            reward=terms.config.reward,
        )
        _begin(home, request)
    except StudioError as error:
        state.refuse(_ASK, str(error))
        return
    st.rerun()


def _begin(home: Home, request: ComparisonRequest) -> None:
    comparison = create_comparison(home, request)
    asking.start_asking(home, comparison)
    state.accept(_ASK)
    compare_state.open_question(comparison.id)


def _question(home: Home, opened: Opened) -> None:
    """The question that is open, what can be done with it, and what to know about it."""
    asked = asking.find_asked(opened.id)
    writing = asked is not None and asked.live
    answers = compare_answers.answers(opened.comparison)
    wanted = len(opened.request.candidates)
    with st.container(border=True):
        compare_columns.question(opened.request.questions[0])
        with st.container(horizontal=True, vertical_alignment="center"):
            compare_columns.origin(opened.request.questions[0])
            st.space("stretch")
            if asked and writing:
                access.button(
                    "compare.stop",
                    "Stop",
                    icon=":material/stop_circle:",
                    key="compare.stop",
                    owner=asked.starter,
                    on_click=asked.cancel,
                )
            else:
                compare_delete.button(home, opened, compare_state.open_question)
                _again(home, opened, answers)
    if not writing and len(answers) < wanted:
        output.warning(
            "This was broken off before all had answered, as when the studio is restarted. What had been answered is "
            "kept. Ask again to get the rest."
        )
    elif not writing and any(not answer.unscored for answer in to_score(answers)):
        output.warning("Scoring was broken off, as when it is stopped. What was answered is kept: score it again.")
    _warn_of_training(home, opened.request)


def _again(home: Home, opened: Opened, answers: Sequence[ComparedAnswer]) -> None:
    """Buttons that ask those who have not answered again, score what has no scores, or ask all with other chance."""
    request, missing = opened.request, places_to_ask(opened.request, answers)
    if missing or to_score(answers):
        offer = access.asking(
            home,
            (request.candidates[place.candidate] for place in missing),
            "Asks those who have not answered to the end, and scores what has no scores.",
        )
        st.button(
            "Ask again" if missing else "Score the answers again",
            icon=":material/refresh:",
            key="compare.again",
            disabled=offer.disabled,
            help=offer.help,
            on_click=_ask_missing,
            args=(home, opened.comparison),
        )
    offer = access.asking(
        home,
        request.candidates,
        "The same question to the same models with another seed, as a new entry: how much is chance?",
    )
    st.button(
        "Ask once more, other seed",
        icon=":material/casino:",
        key="compare.reseed",
        disabled=offer.disabled,
        help=offer.help,
        on_click=_reseed,
        args=(home, request),
    )


def _ask_missing(home: Home, comparison: Comparison) -> None:
    try:
        asking.start_asking(home, comparison)
    except StudioError as error:
        state.refuse(_ASK, str(error))
        return
    state.accept(_ASK)


def _reseed(home: Home, request: ComparisonRequest) -> None:
    decoding = request.decoding.model_copy(update={"seed": (request.decoding.seed + 1) % 2**31})
    try:
        _begin(home, request.model_copy(update={"decoding": decoding}))
    except StudioError as error:
        state.refuse(_ASK, str(error))
        return
    compare_settings.take_over(decoding)


def _warn_of_training(home: Home, request: ComparisonRequest) -> None:
    """Say so when a question that somebody typed is one of those the run was trained on."""
    question = request.questions[0]
    if question.split == "typed" and request.run and _seen(str(home.root), request.run, question.text) == "train":
        output.warning(
            "This question stands in the training data of the run, so its answer may be learned by heart. Judge the "
            "model by questions it has not seen."
        )


@st.cache_data(ttl=600, max_entries=100, show_spinner=False)
def _seen(root: str, run: str, text: str) -> str | None:
    """The split of the run's data in which the question stands; None for a new one, or when the data is gone."""
    home = Home(Path(root))
    try:
        return where_seen(home, find_run(home, run).config(), text)
    except StudioError:
        return None
