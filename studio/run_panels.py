"""The curves of a run in four groups, the reward first, each chart with a sentence that says how to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import streamlit as st

from core.reward.formula import VALIDITY
from core.reward.verdicts import component_title
from core.runs.events import Validation
from core.runs.run import Run
from core.training.best import Best, read_best
from core.training.fields import label
from studio import charts, run_charts
from studio.curve_view import View
from studio.feed import RunFeed

_HEIGHT, _TALL = 230, 320
_LEAST_WIDTH = 320
"""Of a chart beside another, in pixels; where there is less room they stand under each other."""
_SHOWN_VALIDATIONS = 100
_KEPT_GROUPS = 16
"""Groups of charts that are kept made, for everybody who looks at the same runs."""


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        columns: of the curves, those it needs; `score` and `effective` stand for those of every component.
        reading: how to read it, in one sentence or two.
        absent: why there is nothing to see when there is not.
        wide: whether it takes the whole width.
    """

    title: str
    draw: Callable[[View], charts.Option | None]
    columns: tuple[str, ...]
    reading: str
    absent: str = ""
    wide: bool = False


GROUPS: dict[str, tuple[Panel, ...]] = {
    "Reward": (
        Panel(
            "Total reward",
            run_charts.reward,
            ("reward", "reward_std"),
            "Rising is good while the validation line rises with it: those questions are not trained on. If only the "
            "training line rises, the model may be learning to please the score.",
            wide=True,
        ),
        Panel(
            "Score of each component",
            run_charts.components,
            ("score",),
            "One that rises alone while the others fall is being bought at their cost.",
        ),
        Panel(
            "What each component decides",
            run_charts.effective,
            ("effective",),
            "A component's share of the differences inside a group: near zero, its weight has no effect.",
            "No group has differed in its rewards yet, so no component has decided anything.",
        ),
        Panel(
            "Format",
            run_charts.form,
            ("well_formed", "valid"),
            "Completions that keep the tags; these should come near 100 % before the answers get better.",
        ),
        Panel(
            "Spread of the rewards",
            run_charts.spread,
            ("reward_std",),
            "How far the answers to one question lie apart: the model learns from these differences alone.",
        ),
        Panel(
            "Groups without differences",
            run_charts.zero_variance,
            ("zero_variance",),
            "The share of questions whose answers all earned the same: when it stays high, most of the work is wasted.",
        ),
    ),
    "Model": (
        Panel(
            "Entropy",
            run_charts.entropy,
            ("entropy",),
            "How open the choice of the next word is: a slow fall is learning, a sudden fall to zero means that it "
            "always says the same.",
            "The trainer has not measured the entropy.",
        ),
        Panel(
            "Distance from the base model (KL)",
            run_charts.kl,
            ("kl",),
            "A slow rise is learning; a steep one means that the model is leaving the language it knew.",
            f"The distance from the base model is not measured while {label('train.beta')} is 0.",
        ),
        Panel(
            "Held back by clipping",
            run_charts.clipping,
            ("clip_low", "clip_high"),
            "The share of words whose change was limited: some is normal, much means that the steps are too large.",
            "The trainer has not measured clipping.",
        ),
        Panel(
            "Gradient norm",
            run_charts.gradient,
            ("grad_norm",),
            "How strongly a step pulls at the model: single peaks are normal, a steady rise announces trouble.",
            "The trainer has not measured the gradient.",
        ),
        Panel(
            "Learning rate",
            run_charts.learning_rate,
            ("learning_rate",),
            "How large the steps are by plan.",
            "The trainer has not told the learning rate.",
        ),
    ),
    "Completions": (
        Panel(
            "Length in tokens",
            run_charts.length,
            ("completion_tokens", "shortest", "longest", "ended_tokens"),
            "A mean that creeps up to the limit often means that length is rewarded, not content.",
            wide=True,
        ),
        Panel(
            "Cut at the limit",
            run_charts.truncation,
            ("truncated",),
            "Answers that were cut off cannot be complete: when it stays high, allow longer completions.",
        ),
    ),
    "Machine": (
        Panel(
            "Time of a step",
            run_charts.step_time,
            ("generate_seconds", "score_seconds", "update_seconds"),
            "Where the seconds go: what lies on top of each other adds up to the whole step.",
            wide=True,
        ),
        Panel(
            "GPU memory",
            run_charts.gpu_memory,
            ("gpu_bytes",),
            "All programs together: near the card's limit the run may end for want of memory.",
            "This run has not used a GPU.",
        ),
        Panel(
            "Memory of the job",
            run_charts.host_memory,
            ("host_bytes",),
            "It should level off after the first steps.",
            "The job has not told how much memory it holds.",
        ),
    ),
}


def groups(run: Run, feed: RunFeed, window: int | None) -> None:
    """The charts of the group that is open, and with the first the table of validations."""
    tabs = st.tabs(list(GROUPS), key="curve_group", on_change="rerun")
    for tab, (name, panels) in zip(tabs, GROUPS.items(), strict=True):
        if tab.open:
            view = View.of(feed, window, columns_of(panels, feed.components), read_best(run))
            with tab:
                _panels(panels, _made_once(run, name, view))
                if name == "Reward":
                    validations(run, view)


def _made_once(run: Run, name: str, view: View) -> Sequence[charts.Option | None]:
    """The charts of a group, made by the first who looks since the run has written something."""
    feed = view.feed
    written = (feed.last_step_time, len(feed.validations), len(feed.changes))
    return _made(str(run.folder), name, view.first, view.last, written, view.best, view)


@st.cache_resource(max_entries=_KEPT_GROUPS, show_spinner=False)
def _made(
    folder: str, name: str, first: int, last: int, written: tuple[float, int, int], best: Best | None, _view: View
) -> Sequence[charts.Option | None]:
    return [panel.draw(_view) for panel in GROUPS[name]]


def columns_of(panels: Sequence[Panel], components: Sequence[str]) -> Iterator[str]:
    """The columns of the curves that some charts need."""
    of_each = {"score": components, "effective": (*components, VALIDITY)}
    for column in (column for panel in panels for column in panel.columns):
        yield from (f"{column} {name}" for name in of_each[column]) if column in of_each else (column,)


def _panels(panels: tuple[Panel, ...], options: Sequence[charts.Option | None]) -> None:
    drawn = list(zip(panels, options, strict=True))
    for panel, option in drawn:
        if panel.wide and option is not None:
            _chart(panel, option, _TALL)
    with st.grid(2, min_column_width=_LEAST_WIDTH):
        for panel, option in drawn:
            if option is not None and not panel.wide:
                _chart(panel, option, _HEIGHT)
    absent = [f"{panel.title}: {panel.absent}" for panel, option in drawn if option is None]
    if absent:
        st.caption("  \n".join(absent))


def _chart(panel: Panel, option: charts.Option, height: int) -> None:
    """A chart under its title and how to read it: every element that a part of a page redraws costs all who watch."""
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{panel.title}**  \n:small[:gray[{panel.reading}]]")
        st.echarts_chart(option, height=height, key=f"chart {panel.title}", alt=f"{panel.title} by step")


def validations(run: Run, view: View) -> None:
    """Every validation as a row, the newest first."""
    found = view.feed.validations
    if not found:
        st.caption(
            "Validation: this run has not answered validation questions yet. They are answered every few steps when "
            f"“{label('train.validate_every')}” is above 0 and the data has a validation split."
        )
        return
    st.markdown("**Validation questions**")
    newest = found[-1]
    score = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        _validation_rows(str(run.folder), len(found), newest.step, newest.reward, view.best, found),
        hide_index=True,
        key="validations",
        alt="Validation questions by step",
        column_config={
            "Mean reward": score,
            "Well-formed": st.column_config.NumberColumn(format="%.0f %%"),
            **dict.fromkeys(map(component_title, newest.components), score),
        },
    )
    if view.best:
        st.caption(
            f"The adapter after step {view.best.step:,} did best on the validation questions, by the weights that the "
            f"run started with (mean reward {view.best.reward:.3f}), and is kept as the best one."
        )


@st.cache_resource(max_entries=_KEPT_GROUPS, show_spinner=False)
def _validation_rows(
    folder: str, count: int, newest_step: int, newest_reward: float, best: Best | None, _found: Sequence[Validation]
) -> pa.Table:
    """The rows of the validations; made again only when there is another one, or another best one."""
    rows = _found[-_SHOWN_VALIDATIONS:][::-1]
    columns: dict[str, list[object]] = {
        "Step": [each.step for each in rows],
        "Mean reward": [each.reward for each in rows],
        "Well-formed": [100 * each.well_formed for each in rows],
        **{component_title(name): [each.components.get(name) for each in rows] for name in rows[0].components},
        "Questions": [each.rows for each in rows],
        "Kept as": ["best" if best and each.step == best.step else "" for each in rows],
    }
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
