"""The fields of one judge on the Evaluate page: its model, where it is, how fast it may be asked, and what it costs."""

from __future__ import annotations

import streamlit as st

from core.endpoints import ENDPOINTS
from core.errors import StudioError
from core.evaluate.estimate import with_prices
from core.evaluate.judging import judge_endpoint_of
from core.evaluate.request import JudgeSettings
from studio import evaluate_state, state


def draw(number: int, only: bool) -> JudgeSettings | None:
    """The fields of one judge; None while its model is not named.

    Raises:
        ValidationError: what is entered is no judge.
    """
    model_key, url_key = _key(number, "model"), _key(number, "url")
    name, address, more, away = st.columns([5, 7, 3, 2], vertical_alignment="bottom")
    with name:
        state.begin(model_key, JudgeSettings().model if number == 0 else "")
        st.text_input(
            "Model",
            key=model_key,
            placeholder="gpt-4o-mini",
            persist_state="session",
        )
    with address:
        st.text_input(
            "Address",
            key=state.begin(url_key, ""),
            placeholder="OpenAI, or OPENAI_BASE_URL of the environment",
            persist_state="session",
            help="Any OpenAI-compatible service, such as http://localhost:8000/v1. A server on this machine needs no "
            f"key. Other addresses must be listed in {ENDPOINTS}.",
        )
    with more, st.popover("Speed, price", icon=":material/speed:", width="stretch"):
        speed = _speed(number)
    with away:
        st.button(
            "Remove",
            key=_key(number, "remove"),
            type="tertiary",
            disabled=only,
            on_click=evaluate_state.remove_judge,
            args=(number,),
        )
    written = {"model": (state.value(model_key) or "").strip(), "base_url": (state.value(url_key) or "").strip()}
    if not written["model"]:
        return None
    return with_prices(JudgeSettings.model_validate({**written, **speed}))


def _speed(number: int) -> dict[str, float | int | None]:
    """How fast a judge is asked and what it costs, by the fields of `JudgeSettings`."""
    usual = JudgeSettings()
    given: dict[str, float | int | None] = {
        "concurrent": st.number_input(
            "Questions at once",
            1,
            64,
            key=state.begin(_key(number, "concurrent"), usual.concurrent),
            persist_state="session",
            help="More is faster, until the service refuses. Refused questions are asked again more slowly.",
        ),
        "per_minute": st.number_input(
            "At most a minute (0: no limit)",
            0,
            100_000,
            step=10,
            key=state.begin(_key(number, "per_minute"), usual.per_minute),
            persist_state="session",
            help="The limit of requests of your account with the service, if it has one. Requests that the service has "
            "refused and that are made again count, too.",
        ),
        "seconds": st.number_input(
            "Longest wait for a reply, in seconds",
            5.0,
            600.0,
            step=5.0,
            format="%.0f",
            key=state.begin(_key(number, "seconds"), usual.seconds),
            persist_state="session",
        ),
    }
    for name, word in {"input_price": "read", "output_price": "written"}.items():
        given[name] = st.number_input(
            f"US dollars for a million tokens {word}",
            0.0,
            value=None,
            step=0.05,
            key=state.begin(_key(number, name), None),
            placeholder="As published, where the studio knows it",
            persist_state="session",
            help="Only for the estimate and for the sum in the report. See the service's price list.",
        )
    return given


def _key(number: int, field: str) -> str:
    return f"evaluate.judge.{number}.{field}"


def problem_of(judge: JudgeSettings) -> str | None:
    """Why a judge cannot be asked; None when nothing is known to stand against it."""
    try:
        judge_endpoint_of(judge)
    except StudioError as error:
        return str(error)
    return None
