"""The view Answers of the Export page: how each form answers, held against the model that was trained."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.config import Tags
from core.errors import StudioError
from core.export.parity_report import FormAnswer, FormParity, ParityReport
from core.export.request import FORM_TITLES
from studio import access, output, state
from studio.export_open import Opened

_QUESTION, _BESIDE = "export.question", "export.beside"
_MOST_BESIDE = 3
_SHORT = 90
_REFERENCE = "As trained"
_COLUMNS = {
    "Same prompt": "How many questions it reads as the very tokens that the model was trained to read.",
    "Stops": "Whether it ends its answer where the trained model does.",
    "Divergence": "How far its next words are from those of the trained model, in nats: 0 is the same model; up to "
    "0.001 is rounding to 16 bits.",
    "Same next word": "How often the likeliest next word is the same.",
    "Same answers": "How many answers are the same from beginning to end.",
    "Reward": "Mean reward of its answers, as in training.",
    "Well-formed": "Share of its answers with all tags in place.",
}


def draw(found: Opened, running: bool) -> None:
    """What was found, as a sentence, as numbers, and as answers side by side."""
    report = found.report
    if report is None or report.reference is None:
        _not_yet(found, running)
        return
    _verdict(found, report)
    _findings(report)
    _numbers(report)
    for note in report.notes:
        st.caption(output.escape(note))
    if report.questions and report.forms:
        _side_by_side(found, report)


def _not_yet(found: Opened, running: bool) -> None:
    if running:
        st.caption("The answers are compared when all forms are made.")
    else:
        st.info(
            "The answers have not been compared yet, so nobody knows whether the files answer as the model that was "
            "trained. Go on to do that.",
            icon=":material/hourglass_empty:",
        )


def _verdict(found: Opened, report: ParityReport) -> None:
    """What the findings come to; with drift, what that means for publishing."""
    count = len(report.questions)
    if not report.findings:
        st.success(
            f"On {count} questions all forms answer as the model that was trained.", icon=":material/check_circle:"
        )
    elif not report.drift:
        st.warning(
            "No form is broken, but some answer differently from the model that was trained. Read the examples below.",
            icon=":material/warning:",
        )
    elif found.export.acknowledged:
        st.warning(
            "At least one form answers differently from the model that was trained. You have acknowledged that, so it "
            "can be published.",
            icon=":material/warning:",
        )
    else:
        st.error(
            "At least one form is not the model that was trained. Do not use it before you know why. Publishing is "
            "blocked.",
            icon=":material/error:",
        )
        access.button(
            "export.create",
            "I know of this, allow publishing",
            key="export.acknowledge",
            icon=":material/task_alt:",
            on_click=_acknowledge,
            args=(found,),
            help="This is remembered with the export, for this comparison only.",
        )
    problem = state.refusal(f"{found.id}.acknowledge")
    if problem:
        output.problem(problem)


def _acknowledge(found: Opened) -> None:
    """Remember that somebody knows of the drift that the shown report tells. A callback."""
    try:
        found.export.acknowledge(found.report_sha256)
    except StudioError as error:
        state.refuse(f"{found.id}.acknowledge", str(error))
        return
    state.accept(f"{found.id}.acknowledge")


def _findings(report: ParityReport) -> None:
    for finding in report.findings:
        icon = ":red[:material/error:]" if finding.severity == "drift" else ":orange[:material/warning:]"
        st.markdown(f"{icon} **{FORM_TITLES[finding.form]}** {output.escape(finding.sentence)}")


def _numbers(report: ParityReport) -> None:
    st.dataframe(
        table(report),
        hide_index=True,
        key="export.parity",
        alt="How each form answers, held against the model that was trained",
        column_config={
            "Form": st.column_config.TextColumn(width="medium"),
            **{name: st.column_config.TextColumn(help=note) for name, note in _COLUMNS.items()},
        },
    )


def table(report: ParityReport) -> pd.DataFrame:
    """The numbers as a table; the model that was trained is the first row."""
    everybody = [*([report.reference] if report.reference else []), *report.forms]
    return pd.DataFrame([_row(one, len(report.questions)) for one in everybody])


def _row(found: FormParity, count: int) -> dict[str, str]:
    if found.problem:
        return {"Form": found.title, **dict.fromkeys(_COLUMNS, "Could not be asked")}
    is_reference = found.form == "reference"
    return {
        "Form": found.title,
        "Same prompt": "–" if is_reference else f"{found.prompts_equal} of {count}",
        "Stops": "Yes" if found.end_declared and found.end_honoured else "No",
        "Divergence": _number(found.divergence, ".2g"),
        "Same next word": _number(found.same_choice, ".0%"),
        "Same answers": "–" if is_reference else f"{found.same_answers} of {count}",
        "Reward": _number(found.reward, ".2f"),
        "Well-formed": _number(found.format_rate, ".0%"),
    }


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _side_by_side(found: Opened, report: ParityReport) -> None:
    """One question, with the answers of the trained model and of some forms."""
    st.subheader("Answers side by side", anchor=False)
    try:
        tags = found.config().prompt.tags
    except StudioError as error:
        output.problem(error)
        return
    left, right = st.columns([3, 2])
    with left:
        number = st.selectbox(
            "Question",
            range(len(report.questions)),
            format_func=lambda place: f"{place + 1}. {_short(report.questions[place])}",
            key=_QUESTION,
        )
    with right:
        titles = {one.title: one for one in report.forms}
        chosen = st.multiselect(
            "Beside the trained model",
            list(titles),
            default=list(titles)[-1:],
            max_selections=_MOST_BESIDE,
            key=f"{_BESIDE}.{found.id}.{len(titles)}",
        )
    output.labelled("Question", report.questions[number])
    shown = [*([report.reference] if report.reference else []), *(titles[title] for title in chosen)]
    _answers(shown, number, tags)


def _answers(shown: Sequence[FormParity], number: int, tags: Tags) -> None:
    for column, form in zip(st.columns(len(shown)), shown, strict=True):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{_REFERENCE if form.form == 'reference' else form.title}**")
            if number < len(form.answers):
                _answer(form.answers[number], tags, form.form == "reference")
            else:
                st.caption("Not asked")


def _answer(answer: FormAnswer, tags: Tags, is_reference: bool) -> None:
    told = [
        f"Reward {answer.reward:.2f}" if answer.reward is not None else "",
        "" if answer.ended else "cut off at the limit",
    ]
    if not is_reference:
        place = answer.first_difference
        told.append("the same answer" if place is None else f"the first other word part is number {place + 1}")
    st.caption(" · ".join(filter(None, told)))
    output.completion(answer.text, tags)


def _short(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= _SHORT else f"{line[:_SHORT]}…"
