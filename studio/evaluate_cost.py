"""What an evaluation will take, before it starts: answers, questions to judges, tokens, money and time."""

from __future__ import annotations

import streamlit as st

from core.evaluate.estimate import Estimates, estimate
from core.evaluate.request import EvaluationRequest
from core.text import duration
from studio import compare_answers, output
from studio.evaluate_answers import Answers

_THOUSAND, _MILLION = 1_000, 1_000_000


def draw(answers: Answers, request: EvaluationRequest) -> None:
    """The tiles, and a line for each judge where there are several."""
    known = compare_answers.answers(answers.kept) if answers.kept else ()
    found = estimate(request, answers.request, known)
    total = found.total
    if not request.judges:
        asked = f"{total.answers_to_ask:,} answers are asked for" if total.answers_to_ask else "No answer is missing"
        st.write(f"{asked}. Measuring them takes no judge, sends nothing and costs nothing.")
        return
    tiles = [
        ("Answers to ask for", f"{total.answers_to_ask:,}", "What the models have still to answer."),
        (
            "Questions to judges",
            f"{total.calls:,}",
            "One for each answer and way of judging; format is asked apart.",
        ),
        (
            "Tokens, about",
            f"{short(total.input_tokens)} + {short(total.output_tokens)}",
            "Read and written by the judges, at four characters a token.",
        ),
        (
            "Cost, about",
            money(total.dollars),
            "By the prices under “Speed, price”. Unknown where one of them is not known. What remote models ask "
            "for their answers is not in it.",
        ),
        (
            "Judging, about",
            duration(total.seconds) if total.seconds else "–",
            "At three seconds a reply and the chosen number at once; the models' own answers come before.",
        ),
    ]
    with st.grid(len(tiles), min_column_width=150):
        for label, value, note in tiles:
            st.metric(label, value, border=True, height="stretch", help=note)
    if len(request.judges) > 1:
        _each(request, found)


def _each(request: EvaluationRequest, found: Estimates) -> None:
    told = [
        f"{judge.model}: {one.calls:,} questions, {money(one.dollars)}"
        for judge, one in zip(request.judges, found.judges, strict=True)
    ]
    st.caption(output.escape(" · ".join(told)))


def short(count: int) -> str:
    """A large number in two or three digits.

    >>> short(950), short(43_210), short(1_250_000)
    ('950', '43k', '1.2M')
    """
    if count >= _MILLION:
        return f"{count / _MILLION:.1f}M"
    return f"{count / _THOUSAND:.0f}k" if count >= _THOUSAND else str(count)


def money(dollars: float | None) -> str:
    """An amount in US dollars.

    >>> money(0.0421), money(12.3), money(0.0), money(None)
    ('$0.04', '$12.30', '$0.00', 'not known')
    """
    if dollars is None:
        return "not known"
    return "under $0.01" if 0 < dollars < 0.01 else f"${dollars:,.2f}"
