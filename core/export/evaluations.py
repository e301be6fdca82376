"""What evaluations have found of an exported adapter, or of files of its export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.compare.blind import being_judged
from core.compare.comparison import Comparison
from core.errors import StudioError
from core.evaluate.evaluation import Evaluation, comparison_of, list_evaluations
from core.evaluate.sentences import headline
from core.export.request import ExportRequest
from core.export.store import Export
from core.paths import Home
from core.serving.candidates import Candidate


@dataclass(frozen=True)
class EvaluationNote:
    """One evaluation in a few sentences; names in them are text from outside.

    Attributes:
        questions: how many were asked.
        judges: names of the models that judged.
        found: what came of it, the most important first.
        limits: what these results do not show.
    """

    questions: int
    judges: Sequence[str]
    found: Sequence[str]
    limits: Sequence[str]


def evaluations_of_export(home: Home, export: Export) -> list[EvaluationNote]:
    """The evaluations that count, the newest first; those that are damaged or not counted yet are passed over."""
    request = export.request()
    found = []
    for evaluation in list_evaluations(home):
        try:
            note = _note(home, evaluation, export, request)
        except StudioError:
            continue
        if note is not None:
            found.append(note)
    return found


def _note(home: Home, evaluation: Evaluation, export: Export, request: ExportRequest) -> EvaluationNote | None:
    comparison = comparison_of(home, evaluation)
    asked, results = comparison.request(), evaluation.results()
    belongs = any(_is_of(candidate, export, request) for candidate in asked.candidates)
    if results is None or not belongs or _is_sealed(comparison):
        return None
    judges = [judge.model for judge in evaluation.request().judges]
    return EvaluationNote(len(asked.questions), judges, headline(results), results.limits)


def _is_of(candidate: Candidate, export: Export, request: ExportRequest) -> bool:
    if candidate.kind == "adapter":
        return (candidate.run, candidate.checkpoint) == (request.run, request.checkpoint)
    return candidate.kind in ("gguf", "model") and Path(candidate.model).is_relative_to(export.folder)


def _is_sealed(comparison: Comparison) -> bool:
    """Whether people vote on the answers just now without knowing whose they are."""
    return being_judged(comparison)
