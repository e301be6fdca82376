"""The live view of a run: parts that redraw themselves while it goes on, each from what the run has written to disk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import pandas as pd
import streamlit as st

from core.config import RunConfig
from core.errors import StudioError
from core.jobs import queue
from core.paths import Home
from core.reward.formula import VALIDITY
from core.reward.verdicts import MEANINGS, component_title, validity_word, weight_word
from core.runs.events import Metrics
from core.runs.run import Run
from studio import collector, output, run_panels, words
from studio.feed import RunFeed, feed_of

_COMPARED_STEPS = 5
"""How many steps "now" and "at the start" stand for at most."""


def refreshing(part: Callable[..., None], seconds: float | None, *args: Any) -> None:
    """Draw `part(*args)`, again every `seconds` without the rest of the page; once only when that is None.

    A click in it draws it alone, too. A StudioError that it raises is shown in its place.
    """
    collector.leave_out_modules()
    st.fragment(saying_problems(part), run_every=seconds)(*args)


def saying_problems(part: Callable[..., None]) -> Callable[..., None]:
    """A part of a page that shows the StudioErrors it raises.

    Streamlit handles what is raised in a fragment or a dialog itself, with a trace that says nothing to its reader;
    whoever has called the fragment never sees it.
    """

    @wraps(part)  # Streamlit knows a fragment by the name of its function
    def shown(*args: Any) -> None:
        try:
            part(*args)
        except StudioError as error:
            output.problem(error)

    return shown


def status_strip(home: Home, run: Run, state_shown: str) -> None:
    """State, progress, time left and what the job is busy with; redraws the whole page when the state has changed.

    Args:
        state_shown: the state the rest of the page was drawn for.
    """
    status, now = run.status(), time.time()
    if status.state != state_shown:
        st.rerun()
    badge = words.BADGES[status.state]
    feed = feed_of(run)
    parts = [f"Step {status.step} of {status.steps}"]
    if status.live:
        parts += [words.busy_with(status, now), words.time_left(status, now - feed.last_step_time)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(badge.label, icon=badge.icon, color=badge.colour)
        st.progress(words.progress(status), text=" · ".join(output.escape(part) for part in parts if part))
    _say_what_happened(home, run, feed)


def _say_what_happened(home: Home, run: Run, feed: RunFeed) -> None:
    status = run.status()
    if status.state == "failed":
        output.problem(run.summary())
    elif status.state in ("interrupted", "stopped"):
        output.warning(run.summary())
    elif status.state == "queued":
        st.info(output.escape(f"{run.summary()} {_turn(queue.waiting(home), run)}"))
    elif status.state == "paused":
        st.info(output.escape(run.summary()))
    for note in feed.notes:
        if not note.is_error:
            output.warning(note.message)


def _turn(waiting: Sequence[Run], run: Run) -> str:
    """How many runs start before this one does; nothing for one that does not wait any more."""
    if run not in waiting:
        return ""
    before = waiting.index(run)
    return {0: "It is the next to start.", 1: "1 run waits before it."}.get(before, f"{before} runs wait before it.")


def _tiles(feed: RunFeed) -> None:
    """Four numbers: where the reward and the format stand against the start, and what a step costs."""
    steps = feed.last_step
    if not steps:
        return
    count = max(1, min(_COMPARED_STEPS, steps // 2))
    first, last = feed.earliest(count), feed.newest(count)
    reward, well_formed = _mean(last, "reward"), _mean(last, "well_formed")
    gained, points = reward - _mean(first, "reward"), 100 * (well_formed - _mean(first, "well_formed"))
    alone = steps == 1
    rise = "the first step" if alone else f"{gained:+.2f} from start"
    formed = "the first step" if alone else f"{points:+.0f} points from start"
    note = _compared(count, alone)
    with st.grid(4, min_column_width=160):
        _tile("Mean reward", f"{reward:.2f}", rise, note, plain=alone)
        _tile("Well-formed", f"{well_formed:.0%}", formed, note, plain=alone)
        _tile("Seconds per step", f"{_mean(last, 'step_seconds'):.1f}", _seconds(last), note, plain=True)
        cut = f"{_mean(last, 'truncated'):.0%} cut at the limit"
        _tile("Completion tokens", f"{_mean(last, 'completion_tokens'):.0f}", cut, note, plain=True)


def _tile(label: str, value: str, change: str, note: str, plain: bool = False) -> None:
    st.metric(
        label,
        value,
        change,
        delta_color="off" if plain else "normal",
        delta_arrow="off" if plain else "auto",
        border=True,
        height="stretch",
        help=note,
    )


def _compared(count: int, alone: bool) -> str:
    """What the tiles are taken of.

    >>> _compared(3, alone=False), _compared(1, alone=False)
    ('Mean of the last 3 steps, compared with the first 3.', 'The last step, compared with the first.')
    """
    if alone:
        return "The first step."
    if count == 1:
        return "The last step, compared with the first."
    return f"Mean of the last {count} steps, compared with the first {count}."


def _seconds(metrics: list[Metrics]) -> str:
    share = _mean(metrics, "generate_seconds") / max(_mean(metrics, "step_seconds"), 1e-9)
    return f"{share:.0%} of it generating"


def _mean(metrics: list[Metrics], name: str) -> float:
    return float(sum(getattr(m, name) for m in metrics) / len(metrics)) if metrics else math.nan


def step_seconds(run: Run) -> float:
    """How long the last steps took; 0 before the first."""
    metrics = feed_of(run).newest(_COMPARED_STEPS)
    return _mean(metrics, "step_seconds") if metrics else 0.0


def curves(run: Run, window: int | None) -> None:
    """The numbers and curves of the run, step by step."""
    feed = feed_of(run)
    _tiles(feed)
    if feed.last_step:
        run_panels.groups(run, feed, window)
    elif feed.preparing:
        st.caption("An earlier version has written this run. Its curves are being made from its log.")
    else:
        st.caption("The curves appear with the first training step.")


def weights(run: Run, config: RunConfig) -> None:
    """Beside each configured weight, how much of the learning it really decides, with a plain word."""
    feed = feed_of(run)
    metrics = feed.newest(words.RECENT_STEPS)
    if not metrics:
        st.caption("Known after the first training step.")
        return
    shares, scores = words.recent_shares(metrics), words.recent_scores(metrics)
    changes = feed.changes
    in_force = changes[-1].weights if changes else config.reward.weights
    total = sum(abs(in_force.get(name, 0.0)) for name in config.reward.components)
    rows: list[tuple[object, ...]] = []
    for name in config.reward.components:
        weight = in_force.get(name, 0.0)
        share = None if shares is None else shares.get(name, 0.0)
        word = weight_word(weight, total, share, scores.get(name, 0.0))
        rows.append(
            (
                component_title(name),
                scores.get(name),
                weight,
                None if share is None else 100 * share,
                [word],
                MEANINGS[word],
            )
        )
    share = None if shares is None else shares[VALIDITY]
    valid = _mean(metrics[-_COMPARED_STEPS:], "valid")
    word = validity_word(share, valid)
    rows.append(
        (component_title(VALIDITY), valid, None, None if share is None else 100 * share, [word], MEANINGS[word])
    )
    columns = ["Component", "Mean score", "Weight", "Effective weight", "Verdict", "What it means"]
    st.dataframe(
        pd.DataFrame(rows, columns=columns),
        hide_index=True,
        key="weights",
        alt="Configured and effective weight of each reward component",
        column_config={
            "Mean score": st.column_config.NumberColumn(format="%.2f"),
            "Weight": st.column_config.NumberColumn(format="%.2f"),
            "Effective weight": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100),
            "Verdict": st.column_config.MultiselectColumn(options=list(MEANINGS), color=words.WORD_COLOURS),
            "What it means": st.column_config.TextColumn(width="large"),
        },
    )
    st.caption(
        "GRPO learns only from differences inside a group. The effective weight is the share of those differences in "
        "the reward that a component carries, over the last steps. An invalid completion earns a fixed low reward, "
        "whatever its scores: what that decides stands in the last row."
    )
