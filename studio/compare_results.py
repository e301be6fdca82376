"""The results of a batch: means, every question with every answer, one read in full, and a download."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.paths import Home
from core.text import neutral_cell
from studio import (
    access,
    compare_answers,
    compare_columns,
    compare_delete,
    compare_names,
    compare_sealed,
    compare_state,
    evaluate_state,
    navigation,
    output,
)
from studio.compare_open import Opened
from studio.settings import TEXT_ROW_HEIGHT

_SCORE = st.column_config.NumberColumn(format="%.2f", width="small")
_PERCENT = st.column_config.NumberColumn(format="%.0f %%", width="small")
_CHANGE = st.column_config.NumberColumn(format="%+.2f", width="small")
_HEADER_PIXELS, _MOST_ROWS = 37, 6


@dataclass(frozen=True)
class Results:
    """What a batch has come to so far.

    Attributes:
        names: of the candidates, no two the same; text from outside.
        answers: the latest, by the places of question and candidate.
    """

    request: ComparisonRequest
    names: Sequence[str]
    answers: dict[tuple[int, int], ComparedAnswer]


def read(home: Home, opened: Opened) -> Results:
    """What the batch has come to so far."""
    answers = {(answer.question, answer.candidate): answer for answer in compare_answers.answers(opened.comparison)}
    return Results(opened.request, compare_names.names(home, opened.request.candidates), answers)


def draw(home: Home, opened: Opened) -> None:
    """Means, the table of all answers, and the question that was clicked, side by side.

    The whole page is drawn again when a vote on them has been opened meanwhile.
    """
    if compare_sealed.is_sealed(opened):
        st.rerun()
    results = read(home, opened)
    if not results.answers:
        st.caption("The answers appear here as they come.")
        return
    st.dataframe(
        means(results),
        hide_index=True,
        key=f"compare.means.{opened.id}",
        alt="Means of each model",
        placeholder="–",
        column_config={
            "Model": st.column_config.TextColumn(width="large"),
            "Mean reward": _SCORE,
            "Change": _CHANGE,
            "Well-formed": _PERCENT,
            "Cut off": _PERCENT,
            "Mean tokens": st.column_config.NumberColumn(format="%.0f", width="small"),
            "Answers": st.column_config.NumberColumn(width="small"),
            "Scored": st.column_config.NumberColumn(width="small"),
            "Failed": st.column_config.NumberColumn(width="small"),
        },
    )
    if len(results.names) > 1:
        st.caption(
            f"Change is the mean difference in reward from {output.escape(results.names[0])} over the questions where "
            "both are scored; compare the models by it while not all answers are scored. A higher reward is not a more "
            "correct answer: have the answers judged blind."
        )
    row = _table(opened.id, results)
    if row is not None:
        _one(results, row)


def means(results: Results) -> pd.DataFrame:
    """What each candidate comes to over the questions it has answered; a row a candidate.

    `Change` is taken over the questions that both the candidate and the first one have a reward for.
    """
    rows = []
    for place, name in enumerate(results.names):
        every = [answer for (_, candidate), answer in results.answers.items() if candidate == place]
        whole = [answer for answer in every if not answer.error]
        gained = [gain for gain in _gains(results, place) if gain is not None]
        rows.append(
            {
                "Model": name,
                "Answers": len(whole),
                "Scored": sum(answer.reward is not None for answer in whole),
                "Mean reward": _mean(answer.reward for answer in whole),
                "Change": _mean(gained) if place else None,
                "Well-formed": _percent(answer.well_formed for answer in whole),
                "Cut off": _percent(answer.truncated for answer in whole),
                "Mean tokens": _mean(answer.tokens for answer in whole),
                "Failed": len(every) - len(whole),
            }
        )
    return pd.DataFrame(rows)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _percent(values: Iterable[bool | None]) -> float | None:
    share = _mean(values)
    return None if share is None else 100 * share


def _gains(results: Results, place: int) -> list[float | None]:
    """How much more reward a candidate earns than the first one, question by question; None where one has none."""
    gains: list[float | None] = []
    for number in range(len(results.request.questions)):
        first, other = (_reward(results, number, one) for one in (0, place))
        gains.append(None if first is None or other is None else other - first)
    return gains


def _reward(results: Results, question: int, place: int) -> float | None:
    answer = results.answers.get((question, place))
    return None if answer is None or answer.error else answer.reward


def table(results: Results) -> pd.DataFrame:
    """Every question with the answer and the reward of each; a row a question."""
    columns: dict[str, list[object]] = {"Question": [question.text for question in results.request.questions]}
    numbers = range(len(results.request.questions))
    for place, name in enumerate(results.names):
        found = [results.answers.get((number, place)) for number in numbers]
        columns[name] = [None if answer is None else answer.error or answer.text for answer in found]
        columns[f"Reward: {name}"] = [_reward(results, number, place) for number in numbers]
        if place:
            columns[f"Change: {name}"] = list(_gains(results, place))
    return pd.DataFrame(columns)


def _table(comparison: str, results: Results) -> int | None:
    """The table of all answers; returns the place of the question that was clicked."""
    frame = table(results)
    configured = {
        "Question": st.column_config.TextColumn(width=220),
        **{name: st.column_config.TextColumn(width=330) for name in results.names},
        **{
            f"Reward: {name}": st.column_config.NumberColumn("Reward", format="%.2f", width=80)
            for name in results.names
        },
        **{
            f"Change: {name}": st.column_config.NumberColumn("Change", format="%+.2f", width=80)
            for name in results.names
        },
    }
    event = st.dataframe(
        frame,
        hide_index=True,
        key=f"compare.results.{comparison}",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        alt="Every question with the answers and their rewards",
        row_height=TEXT_ROW_HEIGHT,
        height=min(len(frame), _MOST_ROWS) * TEXT_ROW_HEIGHT + _HEADER_PIXELS,
        placeholder="–",
        column_config=configured,
    )
    rows = [*event.selection.rows, *(cell[0] for cell in event.selection.cells)]
    if not rows or rows[0] >= len(frame):
        st.caption("Click a question to read its answers side by side.")
        return None
    return int(rows[0])


def _one(results: Results, row: int) -> None:
    """A question with its answers as the view Ask shows them."""
    question = results.request.questions[row]
    answers = compare_columns.of_question(results.answers.values(), row)
    with st.container(border=True):
        compare_columns.question(question)
        compare_columns.origin(question)
    compare_columns.side_by_side(results.request, results.names, answers)
    compare_columns.beneath(results.request, results.names, question, answers)


def actions(home: Home, opened: Opened) -> None:
    """What can be done with a batch that is not being answered: judge it blind, take it away as a file."""
    results = read(home, opened)
    if not results.answers:
        return
    with st.container(horizontal=True):
        if len(opened.request.candidates) > 1:
            st.button(
                "Judge these blind",
                icon=":material/visibility_off:",
                type="primary",
                key="compare.judge",
                help="Two answers at a time without a word on who wrote them.",
                on_click=compare_state.show_view,
                args=(compare_state.BLIND,),
            )
        if st.button(
            "Evaluate these answers",
            icon=navigation.EVALUATE.icon,
            key="compare.evaluate",
            help="By language models as judges or by automatic metrics, with intervals, tests and a report.",
        ):
            st.switch_page(navigation.EVALUATE.path, query_params=evaluate_state.batch_query(opened.id))
        access.download_button(
            "Answers as CSV",
            partial(csv, results),
            subject=opened.id,
            file_name=f"{opened.id}.csv",
            mime="text/csv",
            icon=":material/download:",
            key="compare.csv",
            on_click="ignore",
        )
        compare_delete.button(home, opened, compare_state.open_batch)


def csv(results: Results) -> bytes:
    """Every answer in a line of its own, for a spreadsheet: UTF-8 with a mark that tells it so."""
    rows = [
        {
            "question_number": number + 1,
            "question": question.text,
            "reference": question.reference,
            "split": question.split,
            "model": name,
            "answer": answer.text,
            "error": answer.error,
            "reward": answer.reward,
            **{
                f"score_{component}": answer.components.get(component)
                for component in results.request.reward.components
            },
            "valid": answer.valid,
            "well_formed": answer.well_formed,
            "cut_off": answer.truncated,
            "tokens": answer.tokens,
            "seconds": round(answer.seconds, 3),
        }
        for number, question in enumerate(results.request.questions)
        for place, name in enumerate(results.names)
        if (answer := results.answers.get((number, place)))
    ]
    frame = pd.DataFrame(rows)
    texts = frame.select_dtypes(include=["object", "string"]).columns
    frame[texts] = frame[texts].map(_harmless)
    return frame.to_csv(index=False).encode("utf-8-sig")


def _harmless(cell: object) -> object:
    """A cell that no spreadsheet calculates; numbers are what they are."""
    return neutral_cell(cell) if isinstance(cell, str) else cell
