"""The group microscope: the answers to one question at any step, with their scores, and how they moved since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.config import Tags
from core.reward.verdicts import component_title
from core.runs.completions import Completion, kept_steps, read_completions, step_file
from core.runs.run import Run
from core.training.groups import GroupReader
from studio import output, state
from studio.charts import TEAL, Band, Curve, Option, curves_option
from studio.settings import CHART_POINTS, TEXT_ROW_HEIGHT

_OFFERED = 200
"""Steps that are offered for a comparison: so many of the first ones, and of the newest."""
_SINGLE_POINTS = 60
"""Up to so many steps, each at which the question came is a point of its own."""
_SCORE = st.column_config.NumberColumn(format="%.2f", width="small")


@dataclass(frozen=True)
class Group:
    """The completions to one prompt at one step, the best first."""

    step: int
    row: str
    completions: Sequence[Completion]

    @property
    def question(self) -> str:
        return self.completions[0].question

    @property
    def rewards(self) -> list[float]:
        return [completion.reward for completion in self.completions]


def groups_at(run: Run, step: int) -> list[Group]:
    """The groups of a step in their order; none when its completions are not there."""
    found = read_completions(step_file(run, step))
    return [
        Group(step, row, sorted((c for c in found if c.group == row), key=lambda c: c.reward, reverse=True))
        for row in dict.fromkeys(completion.group for completion in found)
    ]


def draw(run: Run, tags: Tags) -> None:
    """A step, one of its prompts, and what there is to see of its group."""
    steps = kept_steps(run)
    if not steps:
        st.caption("The first group of completions appears with the first training step.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        step = _step(steps, run.written_status().steps)
        group = _group(groups_at(run, step))
    if group is None:
        st.caption(f"The completions of step {step:,} are not there.")
        return
    output.labelled("Question", group.question)
    output.labelled("Reference answer", group.completions[0].reference)
    _ends(group, tags)
    _table(group.completions)
    _history(run, group, tags)


def _step(steps: range, planned: int) -> int:
    """The step that is looked at: the newest, or one that is chosen, which stays while the run goes on."""
    newest = st.toggle("Newest step", value=True, key="microscope.newest", help="Off: look at a step of your choice.")
    if newest or len(steps) == 1:
        return steps[-1]
    state.start_with("microscope.step", steps[-1])
    return int(st.number_input("Step", 1, planned, step=steps.step, key="microscope.step", width=160))


def _group(groups: Sequence[Group]) -> Group | None:
    if len(groups) < 2:
        return groups[0] if groups else None
    numbered = {f"{number}. {group.question}": group for number, group in enumerate(groups, start=1)}
    chosen = st.selectbox("Question", list(numbered), key="microscope.prompt")
    return numbered.get(chosen, groups[0])


def _ends(group: Group, tags: Tags) -> None:
    """The best and the worst completion side by side."""
    st.caption(
        f"Step {group.step:,}: {len(group.completions)} answers to this question. The model becomes more likely to "
        "write those with a positive advantage, and less likely to write the others."
    )
    left, right = st.columns(2)
    with left:
        _card("Best", group.completions[0], tags)
    with right:
        _card("Worst", group.completions[-1], tags)


def _card(title: str, shown: Completion, tags: Tags) -> None:
    with st.container(border=True, height="stretch"):
        length = f", {shown.tokens} tokens" if shown.tokens else ""
        st.markdown(f"**{title}**: reward {shown.reward:.2f}, advantage {shown.advantage:+.2f}{length}")
        output.completion(shown.completion, tags)


def _table(ranked: Sequence[Completion]) -> None:
    """All completions of a group with every score."""
    names = list(map(component_title, ranked[0].components))
    frame = pd.DataFrame(
        {
            "Completion": [c.completion for c in ranked],
            "Reward": [c.reward for c in ranked],
            "Advantage": [c.advantage for c in ranked],
            **{component_title(name): [c.components[name] for c in ranked] for name in ranked[0].components},
            "Tokens": [c.tokens or None for c in ranked],
            "Well-formed": [c.well_formed for c in ranked],
            "Valid": [c.valid for c in ranked],
        }
    )
    st.dataframe(
        frame.dropna(axis="columns", how="all"),
        hide_index=True,
        key="completions",
        alt="Completions of the group with their scores",
        row_height=TEXT_ROW_HEIGHT,
        column_config={"Completion": output.WIDE_TEXT, **dict.fromkeys(["Reward", "Advantage", *names], _SCORE)},
    )


def _history(run: Run, group: Group, tags: Tags) -> None:
    """The same question at the other steps at which it came."""
    seen = GroupReader(run.curves).of_row(int(group.row))
    others = [int(step) for step in seen["step"] if step != group.step]
    st.markdown("**How the answers to this question moved**")
    if not others:
        st.caption("This question has come at no other step yet.")
        return
    st.echarts_chart(history_option(seen), height=220, key="microscope.history", alt="Reward of this question by step")
    st.caption(
        f"What the answers to this question earned at the {len(seen):,} steps at which it came: their mean, and the "
        "lowest to the highest. The model has learned this question when the whole band has risen."
    )
    other = _other_step(others, group.step)
    if other is not None:
        _beside(run, group, other, tags)


def history_option(seen: pd.DataFrame) -> Option:
    """What a question's answers earned at each step at which it came; of very many steps the newest."""
    table = {str(name): column.to_numpy() for name, column in seen.tail(CHART_POINTS).items()}
    band = Band("low", "high", "lowest to highest answer", TEAL)
    option = curves_option(table, [Curve("mean", "mean", TEAL)], [band])
    option["series"][-1]["showSymbol"] = len(seen) <= _SINGLE_POINTS
    return option


def _other_step(others: Sequence[int], step: int) -> int | None:
    """The step to compare with: the earliest at first, which is as the model answered in the beginning."""
    return st.selectbox(
        f"Compare step {step:,} with step",
        [*others[:_OFFERED], *others[_OFFERED:][-_OFFERED:]],
        key="microscope.other",
        format_func=lambda number: f"{number:,}",
        width=220,
    )


def _beside(run: Run, group: Group, other: int, tags: Tags) -> None:
    """The best answers of two steps side by side, and all of the other one."""
    earlier = next((found for found in groups_at(run, other) if found.row == group.row), None)
    if earlier is None:
        st.caption(f"The completions of step {other:,} are not there.")
        return
    pair = sorted((earlier, group), key=lambda found: found.step)
    for column, shown in zip(st.columns(2), pair, strict=True):
        with column:
            mean = sum(shown.rewards) / len(shown.rewards)
            st.caption(f"Step {shown.step:,}: mean reward {mean:.2f}, best {shown.rewards[0]:.2f}")
            _card("Best", shown.completions[0], tags)
    _list(earlier)


def _list(group: Group) -> None:
    st.caption(f"All answers of step {group.step:,}")
    rows = [(completion.completion, completion.reward) for completion in group.completions]
    st.dataframe(
        pd.DataFrame(rows, columns=["Completion", "Reward"]),
        hide_index=True,
        key="microscope.others",
        alt=f"Completions of step {group.step}",
        row_height=TEXT_ROW_HEIGHT,
        column_config={"Completion": output.WIDE_TEXT, "Reward": _SCORE},
    )
