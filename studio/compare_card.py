"""One answer on the Compare page: its text, what it took, and what it earns with every term of the reward."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.compare.comparison import ComparedAnswer
from core.config import RewardConfig, Tags
from core.reward.verdicts import component_title
from studio import output

_LONG_CHARACTERS, _LONG_LINES, _BOX_PIXELS = 1500, 24, 420
"""From which length on a text is scrolled in a box, so that one column cannot push the page away."""
_MOST_SHOWN = 100_000
_NO_OPINION = "no opinion"


def text_box(text: str, follow: bool = False, pixels: int = _BOX_PIXELS) -> DeltaGenerator:
    """Room for a text: as high as it is, or a box that scrolls when it is long.

    Args:
        follow: keep the end in sight while it grows.
        pixels: how high the box is.
    """
    long = len(text) > _LONG_CHARACTERS or text.count("\n") > _LONG_LINES
    return st.container(height=pixels if long else "content", border=False, autoscroll=follow and long)


def shown(text: str) -> str:
    """A text as far as a page can bear it."""
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "\n…"


def draw(answer: ComparedAnswer, reward: RewardConfig, tags: Tags, alone: bool = True) -> None:
    """A finished answer, or as much of it as came and why no more did.

    Args:
        alone: whether nothing else was asked at the same time, so that its speed means something.
    """
    if answer.error:
        output.problem(answer.error)
    if answer.text.strip() or not answer.error:
        with text_box(answer.text):
            output.completion(shown(answer.text), tags)
    _marks(answer)
    st.caption(output.escape(" · ".join(_facts(answer, alone))))
    _reward(answer, reward)


def _marks(answer: ComparedAnswer) -> None:
    with st.container(horizontal=True, gap="small"):
        if answer.truncated:
            st.badge(
                "Cut off",
                icon=":material/content_cut:",
                color="orange",
                help="It reached the longest answer that is allowed. Allow more tokens to read it to its end.",
            )
        if answer.well_formed is False:
            st.badge(
                "Not in the asked form",
                icon=":material/format_list_bulleted:",
                color="gray",
                help="The prompt asks for reasoning in one pair of tags and the answer in another.",
            )


def token_count(tokens: int) -> str:
    return "1 token" if tokens == 1 else f"{tokens:,} tokens"


def _facts(answer: ComparedAnswer, alone: bool = True) -> list[str]:
    """What the answer took, as far as it is known.

    >>> _facts(ComparedAnswer(question=0, candidate=0, tokens=46, seconds=4.0, first_seconds=0.25))
    ['46 tokens', '4.0 s', '12.0 tokens a second', 'first word after 0.2 s']
    """
    counted = [] if answer.tokens is None else [token_count(answer.tokens)]
    if not alone:
        return counted
    speed, first = answer.tokens_per_second, answer.first_seconds
    return [
        *counted,
        f"{answer.seconds:.1f} s",
        *([] if speed is None else [f"{speed:.1f} tokens a second"]),
        *([] if first is None else [f"first word after {first:.1f} s"]),
    ]


def _reward(answer: ComparedAnswer, reward: RewardConfig) -> None:
    if answer.unscored:
        output.warning(answer.unscored)
    if answer.reward is None:
        return
    st.markdown(f"**Reward {answer.reward:.2f}**")
    if answer.valid is False:
        st.caption(
            f"Invalid: it has no answer in tags, an empty one, or repeats the question. That earns "
            f"{reward.invalid_reward:g}, whatever its terms."
        )
    st.table(terms(answer, reward), border="horizontal", hide_index=True, alt="The terms of the reward")


def terms(answer: ComparedAnswer, reward: RewardConfig) -> pd.DataFrame:
    """Each term of the reward with its score, its weight and what it adds, which is nothing to an invalid answer."""
    rows = []
    for name, weight in zip(reward.components, reward.weight_vector, strict=True):
        score = answer.components.get(name)
        if weight or score is not None:
            adds = "–" if score is None or answer.valid is False else f"{weight * score:+.2f}"
            rows.append((component_title(name), _NO_OPINION if score is None else f"{score:.2f}", f"{weight:g}", adds))
    return pd.DataFrame(rows, columns=["Term", "Score", "× weight", "= adds"])
