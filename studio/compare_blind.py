"""The blind vote on the Compare page: two answers side by side, and nothing that says whose they are."""

from __future__ import annotations

import streamlit as st

from core.access.actors import current_actor
from core.access.starters import starter_of
from core.compare.blind import cast, end_vote, everybody, next_ballot, progress, undo
from core.compare.blind_ballots import Ballot, Shown
from core.compare.blind_votes import LONGEST_REASON, BlindVote, Choice, ended_at, opened_vote
from core.compare.comparison import Comparison
from core.content_hash import content_hash
from core.errors import StudioError
from core.lab.vote_files import rater_name
from core.paths import Home
from studio import (
    access,
    compare_blind_open,
    compare_blind_results,
    compare_card,
    dialogs,
    identity,
    lab_state,
    live,
    output,
    state,
)

_CHOICES: tuple[tuple[Choice, str, str, str], ...] = (
    ("left", "Left is better", ":material/arrow_back:", "1"),
    ("right", "Right is better", ":material/arrow_forward:", "2"),
    ("tie", "Equally good", ":material/drag_handle:", "3"),
    ("unsafe", "Both unsafe", ":material/dangerous:", "4"),
)


def draw(home: Home, comparison: Comparison) -> None:
    """The vote on a comparison: opening it, voting, or what came of it."""
    try:
        vote = opened_vote(comparison)
        if vote is None:
            compare_blind_open.draw(home, comparison)
        elif ended_at(comparison) is None:
            _vote(home, comparison, vote)
        else:
            compare_blind_results.draw(home, comparison, vote)
    except StudioError as error:
        output.problem(error)


def _vote(home: Home, comparison: Comparison, vote: BlindVote) -> None:
    """Who votes, the button that ends the vote, and the ballot."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        name = _signed_in() if identity.tells_apart() else _typed()
    with right:
        if access.button(
            "vote.end",
            "End the vote",
            key="blind.end",
            icon=":material/flag:",
            width="stretch",
            owner=starter_of(comparison.folder),
        ):
            _confirm_end(home, comparison)
    if name.strip():
        live.refreshing(_ballot, None, home, comparison, vote, rater_name(name))
    else:
        st.info("Type your name first. You can leave at any time and go on later.", icon=":material/badge:")


def _signed_in() -> str:
    name = current_actor().name
    output.labelled("You vote as", name)
    return name


def _typed() -> str:
    """The name that was typed. A usable one is shown, not a field, for in a field the keys of the choices are text."""
    name = str(state.value(lab_state.RATER) or "")
    try:
        rater_name(name)
    except StudioError:
        return st.text_input("Your name", key=lab_state.RATER, persist_state="session") or ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        output.labelled("You vote as", name)
        st.button(
            "Somebody else",
            key="blind.rater.change",
            type="tertiary",
            on_click=state.put,
            args=(lab_state.RATER, ""),
        )
    return name


def _ballot(home: Home, comparison: Comparison, vote: BlindVote, rater: str) -> None:
    """The rater's next ballot with its buttons, or thanks after the last."""
    if ended_at(comparison) is not None:
        st.rerun()
    ballot, done = next_ballot(comparison, rater), progress(comparison, rater)
    # Everything that is entered belongs to one rater and one ballot; the names of widgets tell nothing of either.
    mark = f"{_mark(vote.salt, rater)}.{done.judged}"
    st.progress(min(done.judged / done.total, 1.0), text=f"{done.judged:,} of {done.total:,} judged")
    if ballot is None:
        st.success("Thank you, that was the last one. All your judgements are kept.", icon=":material/check_circle:")
    else:
        _question(ballot)
        _buttons(home, comparison, rater, ballot, mark)
    st.button(
        "Take back the last",
        key=f"blind.undo.{mark}",
        icon=":material/undo:",
        type="tertiary",
        shortcut="z",
        disabled=not done.judged,
        on_click=_undo,
        args=(home, comparison, rater, done.judged),
    )
    _problem(comparison)


def _question(ballot: Ballot) -> None:
    output.labelled("Question", compare_card.shown(ballot.question))
    for column, title, answer in zip(
        st.columns(2, gap="medium"), ("Left", "Right"), (ballot.left, ballot.right), strict=True
    ):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            _answer(answer)


def _answer(answer: Shown) -> None:
    with compare_card.text_box("\n".join(filter(None, (answer.reasoning, answer.answer)))):
        if answer.reasoning is not None:
            output.labelled("Reasoning", compare_card.shown(answer.reasoning))
        output.labelled("Answer", compare_card.shown(answer.answer))


def _buttons(home: Home, comparison: Comparison, rater: str, ballot: Ballot, mark: str) -> None:
    """The four choices; each ballot has buttons of its own, lest a late click on one counts for the next."""
    reason = f"blind.reason.{mark}"
    st.text_area("Why (optional)", key=reason, height=68, max_chars=LONGEST_REASON)
    for column, (choice, label, icon, shortcut) in zip(st.columns(4), _CHOICES, strict=True):
        with column:
            st.button(
                label,
                key=f"blind.{choice}.{mark}",
                icon=icon,
                shortcut=shortcut,
                width="stretch",
                on_click=_judge,
                args=(home, comparison, rater, ballot, choice, reason),
            )


def _judge(home: Home, comparison: Comparison, rater: str, ballot: Ballot, choice: Choice, reason: str) -> None:
    """Callback: keep the choice; a second click on a ballot that is behind the rater changes nothing."""
    try:
        if next_ballot(comparison, rater) == ballot:
            cast(home, comparison, rater, ballot, choice, state.value(reason) or "")
    except StudioError as error:
        state.refuse(_form(comparison), str(error))
        return
    state.accept(_form(comparison))


def _undo(home: Home, comparison: Comparison, rater: str, judged: int) -> None:
    """Callback: take the last ballot back; a second click on the same button changes nothing."""
    try:
        if progress(comparison, rater).judged == judged:
            undo(home, comparison, rater)
    except StudioError as error:
        state.refuse(_form(comparison), str(error))
        return
    state.accept(_form(comparison))


def _confirm_end(home: Home, comparison: Comparison) -> None:
    """Asks whether nobody shall vote any more."""
    dialogs.ask(
        "End the vote?",
        ":material/flag:",
        lambda: live.saying_problems(_explain_end)(comparison),
        [
            dialogs.Answer("End the vote", "blind.end.yes", lambda: _end(home, comparison), primary=True),
            dialogs.Answer("Go on voting", "blind.end.no"),
        ],
    )


def _explain_end(comparison: Comparison) -> None:
    raters = everybody(comparison)
    unfinished = [one for one in raters if one.judged < one.total]
    st.write("Names and results are then shown to everybody, and **nobody can vote any more**. This cannot be undone.")
    if not raters:
        output.warning("Nobody has voted yet, so there would be no results.")
    elif unfinished:
        count = "1 rater has" if len(unfinished) == 1 else f"{len(unfinished)} raters have"
        output.warning(f"{count} not finished; what is left would stay unjudged.")
    for one in raters:
        st.text(f"{one.rater}: {one.judged:,} of {one.total:,} judged, {one.total - one.judged:,} left")


def _end(home: Home, comparison: Comparison) -> None:
    end_vote(home, comparison)
    compare_blind_results.count(home, comparison)


def _problem(comparison: Comparison) -> None:
    problem = state.refusal(_form(comparison))
    if problem:
        output.problem(problem)


def _form(comparison: Comparison) -> str:
    """Under which name it is remembered why a vote on this comparison was not kept."""
    return f"blind.{comparison.id}"


def _mark(*texts: str) -> str:
    """Names something on the page without telling what it is."""
    return content_hash(texts).hex()[:12]
