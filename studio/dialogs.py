"""Questions asked before something is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from core.errors import StudioError
from core.jobs import queue, supervisor
from core.paths import Home
from core.runs.run import Run
from studio import output


@dataclass(frozen=True)
class Answer:
    """A button under a question.

    Attributes:
        label: what it says.
        key: of the button.
        act: what is done when it is clicked; None only closes the question. A StudioError is shown in the question.
        primary: whether it stands out.
    """

    label: str
    key: str
    act: Callable[[], None] | None = None
    primary: bool = False


def ask(title: str, icon: str, body: Callable[[], None], answers: Sequence[Answer]) -> None:
    """Open a question; it closes when one of its answers has been carried out, and the page is drawn anew.

    Args:
        title: fixed words; text from outside belongs into `body`, through `studio.output`.
        body: draws what is asked.
    """

    def question() -> None:
        body()
        answer(answers)

    st.dialog(title, icon=icon)(question)()


def answer(answers: Sequence[Answer]) -> None:
    """The buttons of a question side by side, for one whose answers depend on what is entered in it."""
    with st.container(horizontal=True):
        clicked = [
            one for one in answers if st.button(one.label, type="primary" if one.primary else "secondary", key=one.key)
        ]
    for one in clicked:
        try:
            if one.act is not None:
                one.act()
        except StudioError as error:
            output.problem(error)
            return
    if clicked:
        st.rerun()


def confirm_stop(home: Home, run: Run) -> None:
    """Ask how the run is to be stopped: after its step with a checkpoint, or at once."""
    ask("Stop this run?", ":material/stop_circle:", lambda: _explain_stop(run), _ways_to_stop(home, run))


def _explain_stop(run: Run) -> None:
    st.write(
        "**Stop and save** finishes the step it is in and saves a checkpoint and the adapter, so nothing is lost. "
        "You can resume the run later."
    )
    steps, step = run.checkpoint_steps(), run.written_status().step
    if not steps:
        lost = "No checkpoint has been saved yet, so the training so far would be lost."
    elif steps[-1] >= step:
        lost = f"Checkpoint {steps[-1]} holds all finished steps; only the step it is in would be lost."
    else:
        lost = f"What came after checkpoint {steps[-1]}, that is {_count(step - steps[-1])}, would be lost."
    st.write(f"**Stop now** ends it at once and gives its memory back. {lost}")


def _ways_to_stop(home: Home, run: Run) -> list[Answer]:
    save = Answer("Stop and save", "confirm_stop", lambda: supervisor.stop(run), primary=True)
    now = Answer("Stop now", "confirm_stop_now", lambda: _stop_now(home, run))
    asked_already = run.status().state == "stopping"
    return [*([] if asked_already else [save]), now, Answer("Keep running", "keep_running")]


def _stop_now(home: Home, run: Run) -> None:
    supervisor.stop_now(run)
    queue.go_on(home)  # it cannot leave anybody behind who does that


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"


def offer_queue(home: Home, run: Run, reason: str) -> None:
    """Say why a run cannot be resumed now, and offer that it waits for its turn."""
    ask(
        "Wait in the queue?",
        ":material/schedule:",
        lambda: _explain_queue(reason),
        [
            Answer("Add to the queue", "confirm_queue", lambda: queue.add(home, run), primary=True),
            Answer("Not now", "no_queue"),
        ],
    )


def _explain_queue(reason: str) -> None:
    output.warning(reason)
    st.write("In the queue it starts by itself when there is room for it, also when the browser is closed.")
