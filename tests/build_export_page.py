"""The Export page, open on an export, and parity reports for it."""

from __future__ import annotations

from collections.abc import Sequence

from streamlit.testing.v1 import AppTest

from core.export.parity_findings import make_report
from core.export.parity_report import FormAnswer, FormParity, ParityReport
from core.export.request import Form
from studio.navigation import EXPORT
from tests.build_runs import GOOD, HOSTILE

QUESTIONS = ("What lowers the INR?", "Which dose for a child?")


def export_page(at: AppTest, **address: str) -> AppTest:
    """Opens the Export page in an app that has been started."""
    at.switch_page(str(EXPORT.path))
    for name, value in address.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def parity_of(form: Form | None, divergence: float = 1e-5, text: str = GOOD, prompts_equal: int = 2) -> FormParity:
    """How a form, or without one the reference, has answered both questions."""
    answer = FormAnswer(text=text, tokens=20, ended=True, well_formed=True, reward=0.5)
    return FormParity(
        form=form or "reference",
        prompts_equal=prompts_equal,
        end_token="<|im_end|>",
        positions=40,
        divergence=divergence if form else None,
        same_choice=0.97 if form else None,
        reward=0.5,
        format_rate=1.0,
        answers=(answer,) * len(QUESTIONS),
    )


def report_of(forms: Sequence[FormParity]) -> ParityReport:
    """The report on these forms."""
    return make_report(QUESTIONS, parity_of(None), forms, ["Asked in one go."], 12.0)


def faultless(forms: Sequence[Form]) -> ParityReport:
    """A report on forms that answer as trained; the answers are hostile."""
    return report_of([parity_of(form, text=HOSTILE) for form in forms])


def drifted(forms: Sequence[Form]) -> ParityReport:
    """A report on forms of which the last reads other tokens than the adapter was trained on."""
    return report_of([*map(parity_of, forms[:-1]), parity_of(forms[-1], prompts_equal=0)])
