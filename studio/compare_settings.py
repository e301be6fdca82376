"""Under which prompt, reward and sampling all candidates answer: one line that says it, and a popover to change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.config import RunConfig
from core.errors import StudioError
from core.paths import Home
from core.presets import preset_config
from core.runs.lines import RunLine, present_lines
from core.runs.run import find_run, list_runs
from core.serving.candidates import Candidate
from core.serving.client import Decoding
from studio import compare_state, output, state, words
from studio.compare_open import Opened

_TEMPERATURE, _TOP_P, _MAX_TOKENS, _SEED = (
    "compare.temperature",
    "compare.top_p",
    "compare.max_tokens",
    "compare.seed",
)
_OWN_TITLE = "the studio's own prompt and reward"
_MOST_TOKENS = 8192
_LEAST_TOP_P = 0.01


@dataclass(frozen=True)
class Terms:
    """What holds for all who answer.

    Attributes:
        run: the id of the run whose prompt, reward and data these are; empty for the studio's own.
        title: what that run is called, text from outside.
        config: its settings.
    """

    run: str
    title: str
    config: RunConfig
    decoding: Decoding


def choose(home: Home, candidates: Sequence[Candidate], opened: Opened | None) -> Terms:
    """The line that says what holds for all, with a popover in which it is changed.

    Args:
        opened: what is open, whose sampling and run the widgets start from.
    """
    _begin(opened.request.decoding if opened else Decoding())
    titles = _titles(present_lines(list_runs(home)))
    run = _under(titles, candidates, opened)
    config = _config(home, run)
    with st.container(horizontal=True, vertical_alignment="center"):
        line = st.container(width="stretch")
        with st.popover("Change", icon=":material/tune:", key="compare.settings"):
            compare_state.under_selector(titles, run)
            _sampling(config)
    terms = Terms(run if run != compare_state.OWN else "", titles[run], config, _decoding())
    with line:
        st.caption(_sentence(terms))
    return terms


def _titles(lines: Sequence[RunLine]) -> dict[str, str]:
    """How each run reads whose prompt and reward can be taken; the studio's own can always be."""
    runs = {line.run.id: line.title or line.run.id for line in lines if line.config}
    return {**runs, compare_state.OWN: _OWN_TITLE}


def _under(titles: dict[str, str], candidates: Sequence[Candidate], opened: Opened | None) -> str:
    """The run that the address names, else that of what is open, else the first that answers, else the newest."""
    asked = compare_state.under()
    before = (opened.request.run or compare_state.OWN) if opened else ""
    wanted = [asked or "", before, *(candidate.run for candidate in candidates)]
    return next((run for run in [*wanted, *titles] if run in titles), compare_state.OWN)


def _config(home: Home, run: str) -> RunConfig:
    if run == compare_state.OWN:
        return preset_config()
    try:
        return find_run(home, run).config()
    except StudioError as error:  # it was deleted a moment ago
        output.problem(error)
        return preset_config()


def _begin(decoding: Decoding) -> None:
    for key, value in (
        (_TEMPERATURE, decoding.temperature),
        (_TOP_P, max(decoding.top_p, _LEAST_TOP_P)),
        (_MAX_TOKENS, decoding.max_tokens),
        (_SEED, decoding.seed),
    ):
        state.start_with(key, value)


def take_over(decoding: Decoding) -> None:
    """Let the widgets hold this sampling. A callback, or called before they are drawn."""
    state.forget(_TEMPERATURE, _TOP_P, _MAX_TOKENS, _SEED)
    _begin(decoding)


def _sampling(config: RunConfig) -> None:
    st.slider(
        "Temperature",
        0.0,
        2.0,
        step=0.05,
        key=_TEMPERATURE,
        persist_state="session",
        help="How freely words are chosen. 0 always takes the likeliest word, so that an answer comes out the same "
        "every time; above 1 answers become erratic.",
    )
    st.slider(
        "Top-p",
        _LEAST_TOP_P,
        1.0,
        step=0.01,
        key=_TOP_P,
        persist_state="session",
        help="Below 1 the unlikeliest words are never taken. 1 leaves all of them in.",
    )
    st.number_input(
        "Longest answer, in tokens",
        1,
        _MOST_TOKENS,
        step=16,
        key=_MAX_TOKENS,
        persist_state="session",
        help="A token is about three quarters of an English word. An answer that reaches this is cut off and marked. "
        f"This run was trained with at most {config.train.max_completion_length}.",
    )
    st.number_input(
        "Seed",
        0,
        2**31 - 1,
        key=_SEED,
        persist_state="session",
        help="Where chance starts from, the same for all. The same seed gives the same answer again; another gives "
        "another.",
    )


def _decoding() -> Decoding:
    return Decoding(
        temperature=round(float(state.value(_TEMPERATURE)), 2),
        top_p=round(float(state.value(_TOP_P)), 2),
        max_tokens=int(state.value(_MAX_TOKENS)),
        seed=int(state.value(_SEED)),
    )


def _sentence(terms: Terms) -> str:
    """The one line, as Markdown; what runs are called is escaped."""
    whose = f"the prompt and reward of **{output.escape(terms.title)}**" if terms.run else f"**{_OWN_TITLE}**"
    reward = words.reward_title(terms.config.reward)
    return (
        f"All answer under {whose} (reward: {output.escape(reward)}), {told(terms.decoding)}. Question, prompt and "
        "chance are the same for each, so that what differs is the model."
    )


def told(decoding: Decoding) -> str:
    """Sampling in words.

    >>> told(Decoding(seed=3))
    'temperature 0.7, top-p 1, at most 256 tokens, seed 3'
    """
    return (
        f"temperature {decoding.temperature:g}, top-p {decoding.top_p:g}, at most {decoding.max_tokens:,} tokens, "
        f"seed {decoding.seed}"
    )
