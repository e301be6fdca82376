"""The stress test of the Rewards page: tricks that a model could learn, and which of them the reward sees through."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.config import COMPONENTS, EMBEDDED_POLICY, EMBEDDED_SIMILARITY, RewardConfig
from core.errors import ConfigError, StudioError
from core.lab.stress import CAUGHT, REWARD, TRICKS, StressResult, foretold, is_foretold, stress_pairs, warning
from core.paths import Home
from core.reward.ready import with_missing_hashes
from studio import access, lab_tasks, output
from studio.lab_board import reward_of_sliders
from studio.lab_ranking import title

_TRICK, _PAIR = "lab.stress.trick", "lab.stress.pair"
_ROW_HEIGHT = 34


def draw(home: Home) -> None:
    """The matrix of tricks and components, the weakest first, and an example of each to read."""
    st.write(
        "Each trick turns a good answer into a harmful one, or one that only looks good, with the smallest change. A "
        "reward catches it when the good answer earns more. What it does not catch, a model can learn."
    )
    try:
        found = _found(home, reward_of_sliders())
    except StudioError as error:
        output.problem(error)
        return
    said = warning(found)
    if said:
        output.warning(said)
    else:
        st.success(
            f"This reward prefers the good answer in over {CAUGHT:.0%} of these pairs of every trick. That does not "
            "show that the reward is safe.",
            icon=":material/shield:",
        )
    left, right = st.columns([8, 5], gap="medium")
    with left:
        _matrix(found)
    with right:
        _example(found)


def _found(home: Home, reward: RewardConfig) -> StressResult:
    """What the reward makes of the tricks: known at once for built-in components, else tested in the background.

    Raises:
        ConfigError: there is nothing that is known at once.
    """
    if is_foretold(reward):
        return foretold(reward)
    tested = _tested(home, reward)
    if tested is not None:
        return tested
    with st.container(border=True):
        st.write("Custom rewards, a judge and other models have to be asked. Until then: the built-in part alone.")
        if not lab_tasks.follow(home, "stress", "Test it again."):
            access.button(
                "reward.weigh",
                "Test the whole reward",
                key="lab.stress.start",
                icon=":material/shield:",
                on_click=lab_tasks.start,
                args=(home, "stress", _arguments(reward)),
            )
    return foretold(built_in(reward))


def _arguments(reward: RewardConfig) -> dict[str, Any]:
    """What the test is asked; the name of a preset is left out, since saving a reward does not change it."""
    return {"reward": reward.model_dump(mode="json", exclude={"preset"})}


def _tested(home: Home, reward: RewardConfig) -> StressResult | None:
    """What the last test of this very reward found; None when there was none."""
    found = lab_tasks.newest_result(home, "stress", _arguments(reward))
    return None if found is None else StressResult.from_json(found)


def before_start(home: Home, reward: RewardConfig) -> None:
    """Say what slips through a reward before a model is trained with it, or that it has not been tested.

    Raises:
        RewardError: the file of one of its custom rewards is missing or cannot be used.
    """
    reward = with_missing_hashes(home, reward)
    tested = foretold(reward) if is_foretold(reward) else _tested(home, reward)
    if tested is None:
        st.caption(
            "The whole of this reward has not been through the stress test yet. The Rewards page does it, and shows "
            "what a model could learn to exploit."
        )
    elif warning(tested):
        output.warning(warning(tested))


def built_in(reward: RewardConfig) -> RewardConfig:
    """What is left of a reward without custom rewards, a judge, and other models than the embedded ones.

    Raises:
        ConfigError: no built-in component has a weight.
    """
    weights = {name: reward.weights.get(name, 0.0) for name in COMPONENTS}
    if not any(weights.values()):
        raise ConfigError("No built-in component has a weight, so there is nothing that can be tested here.")
    models = {"similarity_model": EMBEDDED_SIMILARITY, "fluency_model": EMBEDDED_POLICY}
    return reward.model_copy(update={"custom": (), "judge": None, "weights": weights, **models})


def matrix(found: StressResult) -> pd.DataFrame:
    """Tricks by what catches them, in percent of the pairs; the whole reward first, the weakest trick on top."""
    columns = {"Trick": [trick_title(trick) for trick in found.tricks], "Reward": 100 * found.caught[:, -1]}
    for position, name in enumerate(found.names):
        if name != REWARD:
            columns[title(name)] = 100 * found.caught[:, position]
    return pd.DataFrame(columns)


def trick_title(trick: str) -> str:
    """A trick as the heading of a line.

    >>> trick_title("unit_swap")
    'A wrong unit'
    """
    said = TRICKS.get(trick, trick.replace("_", " "))
    return said[:1].upper() + said[1:]


def _matrix(found: StressResult) -> None:
    frame = matrix(found)
    share = st.column_config.NumberColumn(format="%.0f %%", width=78)
    st.dataframe(
        frame,
        hide_index=True,
        key="lab.stress.matrix",
        row_height=_ROW_HEIGHT,
        height=_ROW_HEIGHT * (len(frame) + 1) + 6,
        alt="Share of the pairs of each trick in which the good answer scores higher, by component",
        column_config={
            "Trick": st.column_config.TextColumn(width=232),
            "Reward": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100, width=104),
            **dict.fromkeys(frame.columns[2:], share),
        },
    )
    st.caption(
        "In how many pairs the good answer scores strictly higher: with the whole reward as the sliders stand, then "
        "with each component alone, whatever its weight."
    )


def _example(found: StressResult) -> None:
    """A pair of one trick: the good answer, and what the trick makes of it."""
    trick = st.selectbox("Read a trick", found.tricks, format_func=trick_title, key=_TRICK)
    pairs = [pair for pair in stress_pairs() if pair.trick == trick]
    number = int(st.pagination(len(pairs), key=f"{_PAIR}.{trick}")) if len(pairs) > 1 else 1
    pair = pairs[number - 1]
    output.labelled("Question", pair.question)
    with st.container(border=True):
        st.badge("Good", icon=":material/check:", color="green")
        st.text(pair.good)
    with st.container(border=True):
        st.badge("Harmful, on purpose", icon=":material/warning:", color="red")
        st.text(pair.harmful)
    st.caption("Not for clinical use, neither the good answer nor the harmful one.")
