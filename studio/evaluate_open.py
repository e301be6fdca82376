"""The evaluation that the address names, with what was asked; its files are read again only when they have changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.compare.comparison import Comparison, ComparisonRequest
from core.errors import StudioError
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.counting import basis
from core.evaluate.evaluation import Evaluation, comparison_of, find_evaluation
from core.evaluate.human_agreement import votes_on
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.judging import standing_verdicts
from core.evaluate.limits import limits
from core.evaluate.metrics import standing_metrics
from core.evaluate.report import REPORT
from core.evaluate.request import EvaluationRequest
from core.evaluate.results import EvaluationResults
from core.evaluate.verdicts import Call, Verdict
from core.paths import Home
from studio import compare_answers, compare_names, compare_open, compare_sealed, evaluate_state, output

_KEPT = 8
"""Of how many states of files what was read is remembered."""


@dataclass(frozen=True)
class Opened:
    """An evaluation with its request and the comparison that it judges.

    Attributes:
        names: of the candidates, no two the same; text from outside.
    """

    evaluation: Evaluation
    request: EvaluationRequest
    answers: compare_open.Opened
    names: Sequence[str]

    @property
    def id(self) -> str:
        return self.evaluation.id

    @property
    def asked(self) -> ComparisonRequest:
        """What was asked of whom."""
        return self.answers.request

    @property
    def is_sealed(self) -> bool:
        """Whether a blind vote on the answers is open, so that nothing may be shown that tells who wrote what."""
        return compare_sealed.is_sealed(self.answers)

    @property
    def judge_names(self) -> list[str]:
        """What the judges are called, no two the same; text from outside."""
        models = [judge.model for judge in self.request.judges]
        return [
            judge.model if models.count(judge.model) == 1 else f"{judge.model} at {judge.base_url or 'OpenAI'}"
            for judge in self.request.judges
        ]


def opened(home: Home) -> Opened | None:
    """What is open; None when nothing is, or when it is gone or damaged, which is said."""
    asked = evaluate_state.opened()
    if not asked:
        return None
    try:
        return read(home, find_evaluation(home, asked))
    except StudioError as error:
        output.problem(error)
        return None


def read(home: Home, evaluation: Evaluation) -> Opened:
    """An evaluation with what was asked.

    Raises:
        DataError: it, or its comparison, is gone or damaged.
    """
    request, comparison, asked = _requests(str(home.root), str(evaluation.folder))
    answers = compare_open.Opened(comparison, asked)
    return Opened(evaluation, request, answers, compare_names.names(home, asked.candidates))


@st.cache_resource(max_entries=200, show_spinner=False)
def _requests(root: str, folder: str) -> tuple[EvaluationRequest, Comparison, ComparisonRequest]:
    """Requests are never changed, so they are read once; what candidates are called may change."""
    evaluation = Evaluation(Path(folder))
    comparison = comparison_of(Home(Path(root)), evaluation)
    return evaluation.request(), comparison, comparison.request()


def results(found: Opened) -> EvaluationResults | None:
    """What came of it under the names that the pages use; None before the statistics were counted."""
    kept = kept_results(found.evaluation)
    if kept is None:
        return None
    named = kept.model_copy(update={"candidates": tuple(found.names), "limits": ()})
    answers = compare_answers.answers(found.answers.comparison)
    return named.model_copy(update={"limits": limits(found.asked, answers, found.request, named)})


def kept_results(evaluation: Evaluation) -> EvaluationResults | None:
    """What came of it as it stands in its file; None before the statistics were counted."""
    size, changed = _stamp(evaluation.folder / "results.json")
    return _results(str(evaluation.folder), size, changed) if size else None


@st.cache_resource(max_entries=200, show_spinner=False)
def _results(folder: str, size: int, changed: int) -> EvaluationResults | None:
    """The results in a file of this size that was last changed then."""
    return Evaluation(Path(folder)).results()


def verdicts(found: Opened) -> Mapping[Call, Verdict]:
    """The latest verdict of each call, whatever has become of the answer since."""
    size, changed = _stamp(found.evaluation.folder / "verdicts.jsonl")
    return _verdicts(str(found.evaluation.folder), size, changed)


def standing(found: Opened) -> Mapping[Call, Verdict]:
    """Those of the latest verdicts that fit what judges are told and the answers as they are now."""
    stamps = [_stamp(file) for file in (found.evaluation.folder / "verdicts.jsonl", _answers_file(found))]
    return _standing(found.id, stamps, found)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _standing(evaluation: str, stamps: Sequence[tuple[int, int]], _found: Opened) -> Mapping[Call, Verdict]:
    """Likewise, of files that are as these stamps say; each verdict takes hashing what its judge was told."""
    answers = compare_answers.answers(_found.answers.comparison)
    return standing_verdicts(JudgeTexts(_found.request, _found.asked, answers), verdicts(_found))


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _verdicts(folder: str, size: int, changed: int) -> dict[Call, Verdict]:
    """The verdicts in a file of this size that was last changed then; a page asks for them at every refresh."""
    return Evaluation(Path(folder)).verdicts()


def metrics(found: Opened) -> Mapping[tuple[int, int], AnswerMetrics]:
    """The latest metrics of each answer that are of the text as it is now, by question and candidate."""
    stamps = [_stamp(file) for file in (found.evaluation.folder / "metrics.jsonl", _answers_file(found))]
    return _metrics(found.id, stamps, found)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _metrics(
    evaluation: str, stamps: Sequence[tuple[int, int]], _found: Opened
) -> Mapping[tuple[int, int], AnswerMetrics]:
    """Likewise, of files that are as these stamps say."""
    return standing_metrics(compare_answers.answers(_found.answers.comparison), _found.evaluation.metrics())


def is_current(found: Opened, results: EvaluationResults) -> bool:
    """Whether the results were counted from the answers, verdicts, metrics and votes as they are now."""
    answers = compare_answers.answers(found.answers.comparison)
    return results.basis == basis(answers, standing(found), metrics(found), votes_on(found.answers.comparison))


def report_is_current(found: Opened) -> bool:
    """Whether the evidence pack is that of the results as they were counted last."""
    _, counted = _stamp(found.evaluation.folder / "results.json")
    _, written = _stamp(found.evaluation.report_folder / REPORT)
    return written >= counted


def _answers_file(found: Opened) -> Path:
    return found.answers.comparison.folder / "answers.jsonl"


def _stamp(file: Path) -> tuple[int, int]:
    """How long a file is and when it was changed last; zeros where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
