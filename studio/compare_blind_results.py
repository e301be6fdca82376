"""What came of a blind vote that has ended: plain sentences, a picture, a table, and the ballots as files."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.compare.blind import human_votes
from core.compare.blind_export import export_csv, export_jsonl
from core.compare.blind_results import kept_results
from core.compare.blind_summary import BlindResults, PairResult, Share, Tally
from core.compare.blind_votes import BlindVote
from core.compare.comparison import Comparison
from core.jobs.tasks import newest_task
from core.lab.fit_result import Kappa
from core.paths import Home
from studio import access, compare_names, data_tasks, output
from studio.charts import GREY, INDIGO, TEAL

_KIND = "blind_results"
_ROW_PIXELS = 56
_JUDGEMENTS, _QUESTIONS = "Judgements", "Questions"


def count(home: Home, comparison: Comparison) -> None:
    """Begin to count; the page finds the task again by the comparison."""
    data_tasks.start(home, _KIND, {"comparison": comparison.id})


def draw(home: Home, comparison: Comparison, vote: BlindVote) -> None:
    """Results where they have been counted, else how far that is; the ballots to be downloaded in any case."""
    found = kept_results(comparison)
    if found is None:
        _counting(home, comparison)
    else:
        names = compare_names.names(home, comparison.request().candidates)
        _results(found, [_named(pair, names) for pair in found.pairs], vote)
        _reasons(comparison, names)
    _downloads(comparison)


def _counting(home: Home, comparison: Comparison) -> None:
    task = newest_task(home, _KIND, {"comparison": comparison.id})
    if task is not None and task.status().live:
        data_tasks.follow(task)
        return
    data_tasks.explain(task, _KIND, "Count again.")
    st.button(
        "Count the votes",
        type="primary",
        key="blind.count",
        icon=":material/functions:",
        on_click=count,
        args=(home, comparison),
    )


def _named(pair: PairResult, names: Sequence[str]) -> PairResult:
    """A result under the names that this page uses, the model first that was preferred more often."""
    return pair.model_copy(update={"first": names[pair.pair[0]], "second": names[pair.pair[1]]}).ahead_first


def _results(found: BlindResults, pairs: Sequence[PairResult], vote: BlindVote) -> None:
    st.subheader("What the raters preferred", anchor=False)
    for pair in pairs:
        with st.container(border=True):
            first, *others = map(output.escape, pair.sentences)
            st.markdown(f"**{first}**")
            for sentence in others:
                st.write(sentence)
    if len(pairs) > 1:
        st.caption("Each pair is judged by itself. Of many pairs of equal models, one in twenty would look different.")
    if any(pair.judgements.rate for pair in pairs):
        st.plotly_chart(picture(pairs), key="blind.picture", config={"displayModeBar": False})
    _table(pairs)
    for sentence in vote.left_out.sentences:
        st.caption(sentence)
    _agreement(found)


def _table(pairs: Sequence[PairResult]) -> None:
    rows = [_row(pair, unit, tally) for pair in pairs if pair.judgements.total for unit, tally in _units(pair)]
    if not rows:
        return
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="blind.table",
        alt="How often each model was preferred, with intervals",
        column_config={
            "First model": st.column_config.TextColumn(width="medium"),
            "Second model": st.column_config.TextColumn(width="medium"),
            "Sign test p": st.column_config.NumberColumn(
                format="%.4f",
                help="How likely counts at least as uneven are when both are equally good. Ties do not count.",
            ),
        },
    )
    st.caption(
        "Intervals are Wilson's, 95 %. With ties as half, a tie is half a win of each model; the interval is then "
        "rather too wide. Counted by question, each question counts once, as most of its raters said, and as a tie "
        "where they were split."
    )


def _units(pair: PairResult) -> list[tuple[str, Tally]]:
    """What is counted: judgements, and where several raters judged one question, questions too."""
    return [(_JUDGEMENTS, pair.judgements), *([(_QUESTIONS, pair.questions)] if pair.repeated else [])]


def _row(pair: PairResult, unit: str, tally: Tally) -> dict[str, object]:
    return {
        "First model": pair.first,
        "Second model": pair.second,
        "Counted": unit,
        "First better": tally.first,
        "Second better": tally.second,
        "Equally good": tally.ties,
        "Both unsafe": tally.unsafe,
        "First preferred": _percent(tally.rate),
        "Sign test p": tally.p,
        "With ties as half": _percent(tally.rate_with_ties),
        "Share both unsafe": _percent(tally.unsafe_share),
    }


def _percent(share: Share | None) -> str:
    """A share with its interval, short.

    >>> _percent(Share(value=0.9, low=0.596, high=0.982, of=10))
    '90% (60% to 98%)'
    """
    return "–" if share is None else f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def picture(pairs: Sequence[PairResult]) -> Any:
    """A dot with its interval for each pair: how often the first model was preferred, ties left out."""
    import plotly.graph_objects as go  # noqa: PLC0415  (0.1 s and 30 MB that no ballot should wait for)

    figure = go.Figure()
    for unit, colour in ((_JUDGEMENTS, TEAL), (_QUESTIONS, INDIGO)):
        shares = [(_label(pair), tally.rate) for pair in pairs for name, tally in _units(pair) if name == unit]
        known = [(label, share) for label, share in shares if share is not None]
        if known:
            figure.add_trace(_dots(go, unit, colour, known))
    figure.add_vline(x=50, line={"color": GREY, "dash": "dot"})
    figure.update_layout(
        height=120 + _ROW_PIXELS * len(pairs),
        margin={"l": 8, "r": 16, "t": 8, "b": 8},
        xaxis={"range": [0, 100], "ticksuffix": " %", "title": {"text": "How often the first was preferred"}},
        yaxis={"automargin": True, "autorange": "reversed"},
        scattermode="group",
        showlegend=any(pair.repeated for pair in pairs),
        legend={"orientation": "h", "y": 1.15},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def _dots(go: Any, unit: str, colour: str, known: Sequence[tuple[str, Share]]) -> Any:
    return go.Scatter(
        x=[100 * share.value for _, share in known],
        y=[label for label, _ in known],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [100 * (share.high - share.value) for _, share in known],
            "arrayminus": [100 * (share.value - share.low) for _, share in known],
        },
        orientation="h",  # with the offset: beside each other, not on top
        offsetgroup=unit,
        cliponaxis=False,
        mode="markers",
        name=unit,
        marker={"color": colour, "size": 11},
        hovertemplate="%{x:.0f} %<extra></extra>",
    )


def _label(pair: PairResult) -> str:
    """A pair on an axis, where text from outside would be read as HTML."""
    return html.escape(f"{pair.first} over {pair.second}", quote=False)


def _agreement(found: BlindResults) -> None:
    if not found.kappas:
        return
    st.subheader("How far raters agree", anchor=False)
    if found.all_agree is not None:
        st.write(output.escape(found.all_agree.sentence))
    st.dataframe(
        pd.DataFrame([_agreed(kappa) for kappa in found.kappas]),
        hide_index=True,
        key="blind.kappas",
        alt="How far every two raters agree",
        column_config={
            "What that says": output.WIDE_TEXT,
            "Cohen's kappa": st.column_config.NumberColumn(
                format="%.2f", help="1 where they always agree, 0 where they agree as often as by chance."
            ),
        },
    )


def _agreed(kappa: Kappa) -> dict[str, object]:
    return {
        "Rater": kappa.first,
        "Other rater": kappa.second,
        "Judged by both": kappa.pairs,
        "The same": kappa.same,
        "Cohen's kappa": kappa.value,
        "What that says": kappa.sentence,
    }


def _reasons(comparison: Comparison, names: Sequence[str]) -> None:
    """Why raters chose as they did, in their words."""
    words = {"tie": "Equally good", "unsafe": "Both unsafe"}
    questions = {question.id: question.text for question in comparison.request().questions}
    rows = [
        {
            "Question": questions[vote.question],
            "Judgement": words.get(vote.verdict) or f"{names[vote.pair[vote.verdict == 'second']]} is better",
            "Reason": vote.reason,
            "Rater": vote.rater,
        }
        for vote in human_votes(comparison)
        if vote.reason
    ]
    if rows:
        with st.expander(f"Reasons ({len(rows):,})", icon=":material/chat:"):
            output.texts(rows, "blind.reasons")


def _downloads(comparison: Comparison) -> None:
    with st.container(horizontal=True):
        for ending, mime, text in (("csv", "text/csv", export_csv), ("jsonl", "application/jsonl", export_jsonl)):
            access.download_button(
                f"All ballots as {ending.upper()}",
                partial(_encoded, text, comparison, ending),
                subject=comparison.id,
                file_name=f"{comparison.id}-votes.{ending}",
                mime=mime,
                key=f"blind.download.{ending}",
                icon=":material/download:",
                on_click="ignore",
            )


def _encoded(text: Callable[[Comparison], str], comparison: Comparison, ending: str) -> bytes:
    """A file's bytes; spreadsheets take CSV for UTF-8 only when a mark says so."""
    return text(comparison).encode("utf-8-sig" if ending == "csv" else "utf-8", "replace")
