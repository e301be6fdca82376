"""How far an evaluation is: answers, verdicts, those that could not be read; with the buttons to stop and to go on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from core.compare.answering import places_to_ask, to_score
from core.errors import StudioError
from core.evaluate.calls import calls_of
from core.evaluate.metrics import needs_measuring
from core.evaluate.task import KIND, evaluation_task, start_evaluation
from core.evaluate.verdicts import Outcome
from core.jobs.folder import Status
from core.jobs.tasks import Task
from core.paths import Home
from core.text import duration
from studio import access, compare_answers, data_tasks, evaluate_open, live, output, settings, state
from studio.evaluate_open import Opened

_PHASES = {
    "asking": "Asking the questions",
    "scoring": "Scoring the answers with the reward",
    "measuring": "Measuring the answers",
    "judging": "Judging",
    "statistics": "Counting",
    "report": "Writing the report",
}
_UNITS = {"asking": "answers", "scoring": "answers", "measuring": "answers", "judging": "verdicts"}
_OUTCOMES: Mapping[Outcome, str] = {
    "unreadable": "could not be read, though asked twice; they count for nothing",
    "refused": "were refused by the judge; they count for nothing",
    "failed": "did not come; going on asks for them again",
}
_PACE_SECONDS = 3.0
"""From how long on the pace of a phase is told."""


def draw(home: Home, found: Opened) -> bool:
    """Show how far it is, or why something is missing; returns whether it is under way."""
    task = evaluation_task(home, found.evaluation)
    if task is not None and task.status().live:
        live.refreshing(_under_way, settings.REFRESH_SECONDS, task, found)
        return True
    _ended(home, found, task)
    return False


def _under_way(task: Task, found: Opened) -> None:
    """The bar; the page is drawn again when the task has ended."""
    status = task.status()
    if not status.live:
        st.rerun()
    status = _with_scored(status, found)
    with st.container(border=True):
        data_tasks.bar(task, status, progress_text(status), "evaluate.stop")
        if status.phase == "judging":
            st.caption(" · ".join([*_counted(found), *_time_left(found, status)]))


def _with_scored(status: Status, found: Opened) -> Status:
    """The status with how many answers are scored while they are, which the task does not count."""
    if status.phase != "scoring":
        return status
    answers = compare_answers.answers(found.answers.comparison)
    return replace(status, done=len(answers) - len(to_score(answers)), total=len(answers))


def progress_text(status: Status) -> str:
    """What the task is busy with, and how far it is with it.

    >>> progress_text(Status("running", phase="judging", done=10, total=400))
    'Judging · 10 of 400 verdicts'
    """
    if status.state == "stopping":
        return "Stopping; answers and verdicts that are there are kept"
    phase = status.phase or "starting"
    title = _PHASES.get(phase) or phase[0].upper() + phase[1:]
    unit = _UNITS.get(phase, "")
    return f"{title} · {status.done:,} of {status.total:,} {unit}".rstrip() if status.total else title


def _counted(found: Opened) -> list[str]:
    """How many answers and verdicts there are, and what became of the others."""
    answers = compare_answers.answers(found.answers.comparison)
    wanted = len(found.asked.questions) * len(found.asked.candidates)
    told = [f"{wanted - len(places_to_ask(found.asked, answers)):,} of {wanted:,} answers"]
    if found.request.judges:
        outcomes = Counter(verdict.outcome for verdict in evaluate_open.verdicts(found).values())
        told += [f"{outcomes['given']:,} verdicts"]
        told += [f"{outcomes[name]:,} {name}" for name in _OUTCOMES if outcomes[name]]
    return told


def _time_left(found: Opened, status: Status) -> list[str]:
    """How long judging will go on at the pace of the verdicts that this task has brought."""
    left = seconds_left(status, [one.time for one in evaluate_open.verdicts(found).values()], time.time())
    return [] if left is None else [f"about {duration(max(left, 1.0))} left"]


def seconds_left(status: Status, times: list[float], now: float) -> float | None:
    """How many seconds of judging are left; None while that is not known.

    >>> seconds_left(Status("running", phase="judging", started=90.0, done=20, total=60), [91.0, 100.0] * 10, now=111.0)
    40.0
    """
    fresh = [written for written in times if written >= status.started]
    if status.phase != "judging" or not fresh or status.total <= status.done or now - min(fresh) < _PACE_SECONDS:
        return None
    return (status.total - status.done) * (now - min(fresh)) / len(fresh)


def _ended(home: Home, found: Opened, task: Task | None) -> None:
    """Why answers or verdicts are missing, when some are, with a button to get them."""
    problem = state.refusal(found.id)
    if problem:
        output.problem(problem)
    data_tasks.explain(task, KIND, "What is there is kept; go on to get the rest.")
    missing, results = _missing(found), evaluate_open.kept_results(found.evaluation)
    if not missing and results:
        if not evaluate_open.is_current(found, results):
            st.info(
                "Answers, verdicts or votes have come since the results were counted, such as a blind vote that has "
                "ended. Count again, and the results hold all of them.",
                icon=":material/update:",
            )
            count_again(home, found, "evaluate.count_new")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        access.button(
            "evaluation.create",
            "Go on" if missing else "Count again",
            icon=":material/play_arrow:",
            type="primary",
            key="evaluate.resume",
            help="Asks for what is missing, and for nothing twice.",
            on_click=_go_on,
            args=(home, found),
        )
        st.caption(
            " · ".join([*_counted(found), *([f"{missing:,} still to be asked for or measured"] if missing else [])])
        )


def _missing(found: Opened) -> int:
    """How many answers and verdicts are yet to be asked for, and answers yet to be measured."""
    answers, metrics = compare_answers.answers(found.answers.comparison), evaluate_open.metrics(found)
    unmeasured = sum(needs_measuring(one, metrics.get((one.question, one.candidate))) for one in answers)
    standing = evaluate_open.standing(found)
    wanted = (calls_of(found.request, found.asked, answers, judge) for judge in range(len(found.request.judges)))
    calls = sum(call not in standing or standing[call].outcome == "failed" for some in wanted for call in some)
    return len(places_to_ask(found.asked, answers)) + calls + unmeasured


def count_again(home: Home, found: Opened, key: str, disabled: bool = False) -> None:
    """A button that counts the statistics and writes the report anew."""
    access.button(
        "evaluation.create",
        "Count again",
        icon=":material/refresh:",
        key=key,
        disabled=disabled,
        help="Counts the statistics and writes the report anew, such as after a blind vote has ended. Asks for what is "
        "missing, and for nothing twice.",
        on_click=_go_on,
        args=(home, found),
    )


def _go_on(home: Home, found: Opened) -> None:
    """Start the task again. A callback."""
    try:
        start_evaluation(home, found.evaluation)
    except StudioError as error:
        state.refuse(found.id, str(error))
        return
    state.accept(found.id)
