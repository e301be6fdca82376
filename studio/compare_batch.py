"""The view Batch: many test questions to all who are chosen, by a task that goes on without the page."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from core.compare.answering import places_to_ask, to_score
from core.compare.batch import KIND, batch_task, start_batch
from core.compare.comparison import ComparedAnswer, Comparison, Question, create_comparison, make_request
from core.errors import StudioError
from core.jobs.folder import Status
from core.jobs.tasks import Task
from core.paths import Home
from core.serving.candidates import Candidate
from core.text import duration
from studio import (
    access,
    compare_answers,
    compare_held_out,
    compare_list,
    compare_results,
    compare_sealed,
    compare_state,
    data_tasks,
    live,
    output,
    settings,
    state,
)
from studio.access import Offer
from studio.compare_open import Opened
from studio.compare_settings import Terms

_COUNT, _FORM = "compare.count", "compare.batch"
_LEAST, _FIRST_COUNT, _MOST = 2, 20, 500
_FEWEST = 4
"""From how many answers on their pace is told."""


def draw(home: Home, candidates: Sequence[Candidate], terms: Terms, opened: Opened | None) -> None:
    """The form for a new batch, the one that is open with its progress and results, and the earlier ones."""
    _new(home, candidates, terms)
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)
    if opened:
        _open(home, opened)
    compare_list.earlier_batches(home, opened)


def _new(home: Home, candidates: Sequence[Candidate], terms: Terms) -> None:
    questions = compare_held_out.held_out(home, terms)
    if len(questions) < _LEAST:
        st.info(compare_held_out.NONE_LEFT, icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        count = _count(len(questions))
        offer = access.asking(home, candidates) if candidates else Offer(True, "Choose who answers first.")
        started = st.button(
            "Start",
            icon=":material/play_arrow:",
            type="primary",
            key="compare.start",
            disabled=offer.disabled,
            help=offer.help,
        )
    models = "1 model" if len(candidates) == 1 else f"{len(candidates)} models"
    origin = {"test": "the test split", "validation": "the validation split"}[questions[0].split]
    st.caption(
        f"{count} questions to {models}: {count * len(candidates):,} answers, each scored. The questions are from "
        f"{origin}, never trained on. It goes on when you close the page."
    )
    if started:
        _start(home, candidates, terms, questions[:count])


def _count(there: int) -> int:
    most = min(there, _MOST)
    if most == _LEAST:
        return _LEAST
    if (state.value(_COUNT) or 0) > most:
        state.put(_COUNT, most)
    state.start_with(_COUNT, min(_FIRST_COUNT, most))
    return int(st.slider("Test questions", _LEAST, most, key=_COUNT, persist_state="session"))


def _start(home: Home, candidates: Sequence[Candidate], terms: Terms, questions: Sequence[Question]) -> None:
    """Make the comparison, start its task and open it."""
    try:
        comparison = create_comparison(
            home,
            make_request(
                title=f"{len(questions)} test questions, {terms.title}"[:200],
                run=terms.run,
                candidates=tuple(candidates),
                questions=tuple(questions),
                prompt=terms.config.prompt,
                decoding=terms.decoding,
                reward=terms.config.reward,
            ),
        )
    except StudioError as error:
        state.refuse(_FORM, str(error))
        return
    compare_state.open_batch(comparison.id)
    _go_on(home, comparison)
    st.rerun()


def _go_on(home: Home, comparison: Comparison) -> None:
    """Start the task that asks what is missing and scores what has no scores. A callback."""
    try:
        start_batch(home, comparison)
    except StudioError as error:
        state.refuse(_FORM, str(error))
        return
    state.accept(_FORM)


def _open(home: Home, opened: Opened) -> None:
    comparison, request = opened.comparison, opened.request
    st.subheader(output.escape(request.title), anchor=False)
    task = batch_task(home, comparison)
    running = task is not None and task.status().live
    if task and running:
        live.refreshing(_bar, settings.REFRESH_SECONDS, task, comparison)
    else:
        _ended(home, opened, task)
    if compare_sealed.is_sealed(opened):
        compare_sealed.instead(home, opened, compare_state.open_batch)
        return
    seconds = settings.LIST_REFRESH_SECONDS if running else None
    live.refreshing(compare_results.draw, seconds, home, opened)
    if not running:
        compare_results.actions(home, opened)


def _bar(task: Task, comparison: Comparison) -> None:
    """How far the task is, and a button to stop it; the page is drawn again when it has ended."""
    status = task.status()
    if not status.live:
        st.rerun()
    left = seconds_left(status, compare_answers.answers(comparison), time.time())
    data_tasks.bar(task, status, progress_text(status, left), "compare.batch.stop")


def seconds_left(status: Status, answers: Sequence[ComparedAnswer], now: float) -> float | None:
    """How long the missing answers will take at the pace of those that this task has brought; None while it is not
    known."""
    fresh = [answer.time for answer in answers if answer.time >= status.started]
    missing = status.total - status.done
    if len(fresh) < _FEWEST or missing <= 0:
        return None
    return missing * (now - min(fresh)) / len(fresh)


def progress_text(status: Status, left: float | None) -> str:
    """What the task is busy with, how many answers there are, and how many seconds are left.

    >>> progress_text(Status("running", phase="asking", done=10, total=40), left=90.0)
    'Asking · 10 of 40 answers · about 1 min 30 s left'
    """
    if status.state == "stopping":
        return "Stopping; what has been answered is kept"
    phase = status.phase or "starting"
    counted = [f"{status.done:,} of {status.total:,} answers"] if status.total else []
    remaining = [] if left is None else [f"about {duration(max(left, 1.0))} left"]
    return " · ".join([phase[0].upper() + phase[1:], *counted, *remaining])


def _ended(home: Home, opened: Opened, task: Task | None) -> None:
    """Why answers or scores are missing, when some are, with a button to get them."""
    answers = compare_answers.answers(opened.comparison)
    wanted = len(opened.request.questions) * len(opened.request.candidates)
    missing, bare = places_to_ask(opened.request, answers), to_score(answers)
    if not missing and not bare:
        return
    data_tasks.explain(task, KIND, "What has been answered is kept; go on to get the rest.")
    reason = next((answer.unscored for answer in bare if answer.unscored), "")
    if reason:
        output.warning(reason)
    with st.container(horizontal=True, vertical_alignment="center"):
        unscored = f" Without scores: {len(bare):,}." if bare else ""
        st.caption(f"{wanted - len(missing):,} of {wanted:,} answers are there.{unscored}")
        offer = access.asking(
            home,
            (opened.request.candidates[place.candidate] for place in missing),
            "Asks what has no answer yet and scores what has no scores, and nothing twice.",
        )
        st.button(
            "Go on" if missing else "Score the answers again",
            icon=":material/play_arrow:",
            type="primary",
            key="compare.batch.resume",
            disabled=offer.disabled,
            help=offer.help,
            on_click=_go_on,
            args=(home, opened.comparison),
        )
