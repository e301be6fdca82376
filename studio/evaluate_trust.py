"""How far the judges can be trusted: what came of their calls, whether they agree, with people, and with themselves."""

from __future__ import annotations

import streamlit as st

from core.evaluate.results import EvaluationResults
from studio import evaluate_frames, evaluate_tables

_NUMBER = st.column_config.NumberColumn
_AT_LEAST = "At least: of the verdicts that stand, by the prices that were entered. What was asked again is not in it."
_AGREEMENT = "1 where they always agree, 0 where they agree as often as by chance."


def draw(results: EvaluationResults) -> None:
    """Nothing where no judge was asked."""
    if not results.judges:
        return
    st.subheader("How far to trust the judges", anchor=False)
    _judges(results)
    _pairs(results)
    _agreement(results)
    _people(results)
    _lengths(results)


def _judges(results: EvaluationResults) -> None:
    evaluate_frames.table(
        evaluate_tables.judges(results),
        "judges",
        "What came of the questions to each judge",
        {
            "Tokens read": _NUMBER(format="localized", help=_AT_LEAST),
            "Tokens written": _NUMBER(format="localized", help=_AT_LEAST),
            "Unreadable": _NUMBER(help="The reply held no verdict, though it was asked twice. It counts for nothing."),
            "Refused": _NUMBER(help="The judge declined to answer. It counts for nothing."),
            "Failed": _NUMBER(help="Nothing came. Going on asks again."),
            "US dollars": _NUMBER(format="%.2f", help=_AT_LEAST),
        },
    )
    lost = sum(one.unreadable + one.refused for one in results.judges)
    if lost:
        st.caption(f"{lost:,} calls came to no verdict. They are left out, and never scored as 0.")


def _pairs(results: EvaluationResults) -> None:
    frame = evaluate_tables.preferences(results)
    if not len(frame):
        return
    st.markdown("**Which of two is better**")
    evaluate_frames.table(
        frame, "trust.preferences", "How often each model was preferred", {"p, sign test": _NUMBER(format="%.4f")}
    )
    st.caption(
        "Each pair was shown in both orders. Where the judge changed its mind with the order, it counts as equally "
        "good. A judge that often does so looks at the place more than at the answer."
    )


def _agreement(results: EvaluationResults) -> None:
    frame = evaluate_tables.judge_agreement(results)
    if not len(frame):
        return
    st.markdown("**Do the judges agree with each other?**")
    columns = {name: _NUMBER(format="%.2f", help=_AGREEMENT) for name in ("Krippendorff's alpha", "Weighted kappa")}
    evaluate_frames.table(frame, "trust.agreement", "How far the judges agree", columns)
    st.caption("By custom, an alpha from 0.8 on is reliable, and below 0.67 nothing should be concluded.")
    single = evaluate_tables.of_single_judges(results)
    if single:
        with st.expander("Each judge by itself", icon=":material/person:"):
            means = evaluate_tables.averages(results, single)
            evaluate_frames.table(means, "trust.single", "Means", evaluate_frames.means(results.candidates))
            differences = evaluate_tables.differences(results, single)
            if len(differences):
                evaluate_frames.table(
                    differences, "trust.single.differences", "Differences by each judge", evaluate_frames.DIFFERENCES
                )


def _people(results: EvaluationResults) -> None:
    st.markdown("**Do the judges agree with people?**")
    frame = evaluate_tables.human_agreement(results)
    if not len(frame):
        st.caption(
            "Nobody knows yet: there is no blind vote on these answers that has ended. Have clinicians vote on them on "
            "the Compare page, then count again here."
        )
        return
    evaluate_frames.table(
        frame,
        "trust.people",
        "How far judges agree with blind votes",
        {"Cohen's kappa": _NUMBER(format="%.2f", help=_AGREEMENT)},
    )
    st.caption("On questions and pairs that both have a verdict on. Several raters count by their majority.")


def _lengths(results: EvaluationResults) -> None:
    frame = evaluate_tables.lengths(results)
    if not len(frame):
        return
    st.markdown("**Do longer answers score higher?**")
    evaluate_frames.table(
        frame,
        "trust.lengths",
        "Correlation of score and length",
        {
            "Correlation with length": _NUMBER(
                format="%.2f",
                help="Spearman's: 1 where a longer answer always scores higher, 0 where length says nothing.",
            ),
            "p": _NUMBER(format="%.4f"),
        },
    )
