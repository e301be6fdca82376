"""How each form of an export answers, held against the adapter that it was made of.

The *reference* is the base model with the run's adapter, computed by transformers in 32 bits. Every form is asked the
same questions as the reference, with the most likely token chosen each time, by the program that will run it: llama.cpp
for GGUF files, transformers for the others. `core.export.parity_findings` says what the numbers mean.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.export.request import FORM_TITLES, Form
from core.settings_base import Settings

REFERENCE: Literal["reference"] = "reference"

Kind = Literal["unchecked", "prompt", "stop", "divergence", "format", "length", "reward"]
"""What a finding is about."""
Severity = Literal["drift", "warning"]
"""Drift keeps a form from being published until somebody has acknowledged it; a warning is only shown."""


class FormAnswer(Settings):
    """One form's answer to one question; text is as the model wrote it, and hostile.

    Attributes:
        text: the whole completion, with what its turn was begun with.
        tokens: how many the model wrote, its end token with them.
        ended: whether it came to an end by itself, rather than being cut off.
        well_formed: whether it is one reasoning and one answer, tags closed and nothing else, as the reward reads it.
        reward: what the run's reward gives for it; None where it could not be scored.
        first_difference: the place, from 0, of the first token that differs from the reference's answer; None when all
            are the same.
    """

    text: str
    tokens: int
    ended: bool
    well_formed: bool = False
    reward: float | None = None
    first_difference: int | None = None


class FormParity(Settings):
    """What was found of one form, or of the reference.

    Attributes:
        form: which one.
        problem: why it could not be asked, as a sentence; then nothing else counts.
        prompts_equal: to how many of the questions its own tokenizer and chat template make the very tokens that the
            adapter was trained to read.
        end_token: the text of the token that the form says ends an answer; empty where it names none.
        end_declared: whether that is the one that the adapter was trained to end its answers with.
        end_honoured: whether an answer really stops there.
        positions: tokens whose probabilities were compared.
        divergence: mean Kullback-Leibler divergence of the reference's next token to the form's, in nats, on the tokens
            of the reference's answers. Tokens that are not among the 1,024 likeliest of both count as one, so for
            larger vocabularies it is a lower bound, and a close one.
        divergence_max: the largest of them.
        same_choice: at how large a share of the positions the most likely token is the same.
        reward, format_rate: mean reward, and share of well-formed answers.
        answers: in the order of the report's questions.
    """

    form: Form | Literal["reference"]
    problem: str = ""
    prompts_equal: int = 0
    end_token: str = ""
    end_declared: bool = True
    end_honoured: bool = True
    positions: int = 0
    divergence: float | None = None
    divergence_max: float | None = None
    same_choice: float | None = None
    reward: float | None = None
    format_rate: float | None = None
    answers: tuple[FormAnswer, ...] = ()

    @property
    def title(self) -> str:
        """What people read."""
        return "Adapter on its base model (reference)" if self.form == REFERENCE else FORM_TITLES[self.form]

    @property
    def ended(self) -> int:
        """How many answers came to an end by themselves."""
        return sum(answer.ended for answer in self.answers)

    @property
    def same_answers(self) -> int:
        """How many answers are the reference's, token by token."""
        return sum(answer.first_difference is None for answer in self.answers)


class ParityFinding(Settings):
    """One thing that somebody should know of a form before it is handed on."""

    form: Form
    kind: Kind
    severity: Severity
    sentence: str


class ParityReport(Settings):
    """What was found of all forms.

    Attributes:
        drift: whether a form answers so differently that it must not be published unread.
        questions: that were asked, text as it is.
        reference: how the adapter itself answered.
        forms: in the order in which they are made.
        findings: the grave ones first.
        notes: sentences on how it was measured, where that is not as usual.
        seconds: how long it took.
    """

    drift: bool = False
    questions: tuple[str, ...] = ()
    reference: FormParity | None = None
    forms: tuple[FormParity, ...] = ()
    findings: tuple[ParityFinding, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = Field(default=0.0, ge=0)

    def of(self, form: Form) -> FormParity | None:
        """What was found of one form; None when it was not looked at."""
        return next((found for found in self.forms if found.form == form), None)

    def findings_of(self, form: Form) -> tuple[ParityFinding, ...]:
        """What somebody should know of one form."""
        return tuple(finding for finding in self.findings if finding.form == form)

    def severity_of(self, form: Form) -> Severity | None:
        """The gravest of the findings of one form; None when there is none."""
        grades = {finding.severity for finding in self.findings_of(form)}
        return "drift" if "drift" in grades else "warning" if grades else None
