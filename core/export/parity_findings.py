"""What the numbers of a parity check mean: which forms have drifted, and which are only rounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.export.parity_report import FormParity, Kind, ParityFinding, ParityReport, Severity
from core.export.request import QUANTISED, UNSLOTH_GGUF_FORMS, Form

SAME_WEIGHTS = 1e-3
"""Nats of divergence that rounding to 16 bits stays well under; a form of 16 bits that reaches them has other weights
or runs them in another way."""
ROUNDED_WEIGHTS = 0.05
"""Nats of divergence from which a quantised form gets a warning: its tokens are then on average about 5% less likely
under it."""
REWARD_LOSS = 0.1
"""How much less mean reward, which lies between -1 and 1, gets a warning."""
ROUNDED: tuple[Form, ...] = (*QUANTISED, *UNSLOTH_GGUF_FORMS, "merged_4bit")
"""Forms with coarser weights, which answer differently by their nature."""


def make_report(
    questions: Sequence[str], reference: FormParity, forms: Sequence[FormParity], notes: Sequence[str], seconds: float
) -> ParityReport:
    """The report on these forms, with its findings.

    Args:
        reference: how the adapter answered the same questions.
        seconds: how long it all took.
    """
    found = [finding for form in forms for finding in findings(form, reference)]
    return ParityReport(
        drift=any(finding.severity == "drift" for finding in found),
        questions=tuple(questions),
        reference=reference,
        forms=tuple(forms),
        findings=tuple(sorted(found, key=lambda finding: finding.severity != "drift")),
        notes=tuple(notes),
        seconds=seconds,
    )


def findings(found: FormParity, reference: FormParity) -> list[ParityFinding]:
    """What somebody should know of a form, held against the reference."""
    assert found.form != "reference"
    form: Form = found.form
    told = (
        _problem(found) if found.problem else [*_prompt(found), *_stop(found, reference), *_weights(found, reference)]
    )
    return [ParityFinding(form=form, kind=kind, severity=grade, sentence=text) for kind, grade, text in told]


_Told = tuple[Kind, Severity, str]


def _problem(found: FormParity) -> list[_Told]:
    return [("unchecked", "drift", f"It could not be asked, so nobody knows how it answers. {found.problem}")]


def _prompt(found: FormParity) -> Iterator[_Told]:
    asked = len(found.answers)
    if found.prompts_equal < asked:
        yield (
            "prompt",
            "drift",
            f"It reads {asked - found.prompts_equal} of {asked} questions as other tokens than the adapter was trained "
            "on: its chat template or its tokenizer is another one. Export it again, and do not change either.",
        )


def _stop(found: FormParity, reference: FormParity) -> Iterator[_Told]:
    if not found.end_declared:
        named = f"{found.end_token!r}" if found.end_token else "none"
        yield (
            "stop",
            "drift",
            f"It names another end token ({named}) than the one the adapter ends its answers with "
            f"({reference.end_token!r}), so a program may write on after the answer. Export it again.",
        )
    if not found.end_honoured:
        yield (
            "stop",
            "drift",
            f"An answer does not stop at {reference.end_token!r}, with which the adapter ends it; the program writes "
            "on. Export it again.",
        )
    elif found.ended < reference.ended:
        yield (
            "length",
            "warning",
            f"{found.ended} of {len(found.answers)} answers came to an end by themselves; of the adapter's "
            f"{reference.ended} did. Read the answers before you hand it on.",
        )


def _weights(found: FormParity, reference: FormParity) -> Iterator[_Told]:
    rounded = found.form in ROUNDED
    limit = ROUNDED_WEIGHTS if rounded else SAME_WEIGHTS
    if found.divergence is not None and found.divergence >= limit:
        yield ("divergence", *(_rounded(found.divergence) if rounded else _other(found.divergence)))
    if (found.format_rate or 0.0) < (reference.format_rate or 0.0):
        yield (
            "format",
            "warning",
            f"{found.format_rate or 0.0:.0%} of its answers are well-formed, with all tags closed; with the adapter it "
            f"is {reference.format_rate or 0.0:.0%}.",
        )
    if found.reward is not None and reference.reward is not None and found.reward <= reference.reward - REWARD_LOSS:
        yield (
            "reward",
            "warning",
            f"Its answers earn {found.reward:.2f} on average; those of the adapter {reference.reward:.2f}.",
        )


def _other(divergence: float) -> tuple[Severity, str]:
    return (
        "drift",
        f"It is another model than the adapter on its base: its next words diverge by {divergence:.2g} nats, and "
        f"rounding to 16 bits stays under {SAME_WEIGHTS:g}. Export it again; if that does not help, do not use it.",
    )


def _rounded(divergence: float) -> tuple[Severity, str]:
    return (
        "warning",
        f"Rounding its weights has changed what it says noticeably: its next words diverge by {divergence:.2g} nats, "
        f"more than {ROUNDED_WEIGHTS:g}. Read its answers, evaluate it, or take a form with more bits.",
    )
