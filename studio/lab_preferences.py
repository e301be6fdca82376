"""Preferences on the Rewards page: a person says which answers are better, blind to every score."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from core.access.actors import current_actor
from core.errors import StudioError
from core.lab.vote_files import rater_name
from core.lab.votes import PairToJudge, pairs_to_judge, raters, record_vote, votes, votes_on
from core.paths import Home
from studio import identity, lab_fit, lab_rank, lab_state, output, state
from studio.lab_board import Opened

SESSION_PAIRS = 30
"""Pairs asked in one go; a rater has a break then, and the share that all raters are asked is taken of it."""
_WAYS = ("Compare two", "Rank a group", "Fit weights")
_WAY = "lab.votes.way"
_RECORD = "lab.votes"

Answer = Literal["left", "right", "tie", "skip"]


def draw(home: Home, opened: Opened) -> None:
    """Asks who judges, then what they prefer; from enough votes follow weights."""
    st.write(
        "Say which answers are better, without seeing what they earn. From your choices the studio finds the weights "
        "that reward what you prefer. Every choice is kept at once."
    )
    left, right = st.columns([3, 5], gap="large", vertical_alignment="bottom")
    with left:
        rater = _rater(home)
    with right:
        way = st.segmented_control(
            "How",
            _WAYS,
            default=_WAYS[0],
            required=True,
            key=_WAY,
            label_visibility="collapsed",
            persist_state="session",
        )
    if way == _WAYS[2]:
        lab_fit.draw(home, opened, rater)
    elif rater is None:
        st.info(
            "Type your name first. Votes are kept by rater, so that two people can be compared.",
            icon=":material/badge:",
        )
    elif way == _WAYS[0]:
        st.fragment(_compare)(home, opened, rater)
    else:
        st.fragment(lab_rank.draw)(home, opened, rater)


def _rater(home: Home) -> str | None:
    """The name of who judges, which is typed where nobody signs in; None until it can be used."""
    if identity.tells_apart():
        name = current_actor().name
        output.labelled("You vote as", name)
        return rater_name(name)
    known = raters(home)
    note = f"Votes so far by {', '.join(map(output.escape, known))}." if known else "Nobody has voted yet."
    typed = st.text_input("Your name", key=lab_state.RATER, persist_state="session", help=note) or ""
    if not typed.strip():
        return None
    try:
        return rater_name(typed)
    except StudioError as error:
        output.problem(error)
        return None


def _compare(home: Home, opened: Opened, rater: str) -> None:
    pairs = _pairs(home, opened, rater)
    place = lab_state.judged(opened.id, rater)
    given = len(votes_on(opened.board, votes(home, rater)))
    if place >= len(pairs):
        _done(opened, rater, given, bool(pairs))
        return
    pair = pairs[place]
    st.progress(
        place / len(pairs), text=f"Pair {place + 1} of {len(pairs)} · {given:,} judgements by you on these answers"
    )
    sample = opened.board.samples[pair.left]
    output.labelled("Question", sample.question)
    left, right = st.columns(2, gap="medium")
    for side, title, row in ((left, "Left", pair.left), (right, "Right", pair.right)):
        with side, st.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            output.completion(opened.board.samples[row].completion, opened.board.tags)
    _buttons(home, opened, rater, place, pair)
    problem = state.refusal(_RECORD)
    if problem:
        output.problem(problem)
    with st.expander("Reference answer"):
        st.text(sample.reference or "–")


def _pairs(home: Home, opened: Opened, rater: str) -> tuple[PairToJudge, ...]:
    """The pairs of this session; the same until they are done, so that nothing jumps while somebody reads."""
    pairs = lab_state.pairs(opened.id, rater)
    if pairs is None:
        pairs = pairs_to_judge(opened.board, home, rater, SESSION_PAIRS)
        lab_state.ask_pairs(opened.id, rater, pairs)
    return pairs


def _buttons(home: Home, opened: Opened, rater: str, place: int, pair: PairToJudge) -> None:
    """The four answers; each pair has buttons of its own, lest a late click on one pair counts for the next."""
    choices: tuple[tuple[Answer, str, str, str], ...] = (
        ("left", "Left is better", ":material/arrow_back:", "1"),
        ("tie", "Equally good", ":material/drag_handle:", "2"),
        ("right", "Right is better", ":material/arrow_forward:", "3"),
        ("skip", "Skip", ":material/skip_next:", "4"),
    )
    for column, (answer, label, icon, shortcut) in zip(st.columns(4), choices, strict=True):
        with column:
            st.button(
                label,
                key=f"lab.votes.{answer}.{place}",
                icon=icon,
                shortcut=shortcut,
                width="stretch",
                on_click=_judge,
                args=(home, opened.id, rater, place, pair, answer),
            )


def _judge(home: Home, board_id: str, rater: str, place: int, pair: PairToJudge, answer: Answer) -> None:
    """Callback: keep the answer and go on; a second click on a pair that is behind the rater changes nothing."""
    if lab_state.judged(board_id, rater) != place:
        return
    try:
        if answer != "skip":
            record_vote(home, pair.vote(rater, board_id, answer))
    except StudioError as error:
        state.refuse(_RECORD, str(error))
        return
    state.accept(_RECORD)
    lab_state.go_to_pair(board_id, rater, place + 1)


def _done(opened: Opened, rater: str, given: int, any_asked: bool) -> None:
    said = "That was the last pair of this round." if any_asked else "You have judged every pair of these answers."
    st.success(f"{said} {given:,} judgements by you are kept.", icon=":material/check_circle:")
    if any_asked:
        st.button("Another round", key="lab.votes.more", on_click=lab_state.forget_pairs, args=(opened.id, rater))
    st.caption("Under “Fit weights” the studio finds the weights that agree with you best.")
