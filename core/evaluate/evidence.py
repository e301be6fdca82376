"""Gathers all that an evidence pack holds, from the files of an evaluation, its comparison and the runs behind it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from core.compare.blind import being_judged, human_votes
from core.compare.blind_results import results as count_votes
from core.compare.blind_summary import BlindResults
from core.compare.blind_votes import opened_vote
from core.compare.comparison import ComparedAnswer, Comparison, ComparisonRequest
from core.content_hash import content_hash
from core.errors import RunError, StudioError
from core.evaluate.calls import calls_of
from core.evaluate.evaluation import Evaluation, comparison_of
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.judged_questions import JudgedQuestion, judged_questions
from core.evaluate.judging import standing_verdicts
from core.evaluate.metrics import standing_metrics
from core.evaluate.request import EvaluationRequest
from core.evaluate.results import EvaluationResults
from core.evaluate.run_record import MissingRun, RunRecord, run_records
from core.evaluate.table import score_table
from core.evaluate.verdicts import Matter, Verdict
from core.paths import Home
from core.serving.candidates import Candidate, adapter_folder, title

PACKAGES = (
    *("torch", "transformers", "trl", "peft", "vllm", "openai", "xllamacpp"),
    *("scipy", "statsmodels", "scikit-learn", "krippendorff", "rouge-score", "numpy", "pandas"),
    *("streamlit", "plotly", "jinja2", "pydantic"),
)
"""Those that answers, verdicts and numbers depend on, and what has drawn them."""
_ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class JudgeText:
    """What a judge was told for one matter, the same for every answer.

    Attributes:
        prompt_hash: SHA-256 that each verdict on it bears.
    """

    matter: Matter
    system: str
    prompt_hash: str


@dataclass(frozen=True)
class Contender:
    """A candidate as the report names it.

    Attributes:
        name: for people; text from outside.
        form: its text form, as the command line takes it, without the folder of a local model.
        sha256: of its adapter's weights; empty where it has none or they are gone.
    """

    name: str
    form: str
    sha256: str


@dataclass(frozen=True)
class Evidence:
    """Everything that the pack tells, read once, so that all its files tell the same.

    Attributes:
        vote_open: whether raters are voting blindly on these answers just now, so that no file may say who wrote what.
        votes: what came of an ended vote, its raters without names; None where there is none.
        table: every score, see `core.evaluate.table`.
        questions_sha256: names the questions with their reference answers.
        versions: of the software by package.
    """

    id: str
    comparison: str
    request: EvaluationRequest
    asked: ComparisonRequest
    results: EvaluationResults
    contenders: tuple[Contender, ...]
    questions: tuple[JudgedQuestion, ...]
    table: pd.DataFrame
    judge_texts: tuple[JudgeText, ...]
    runs: tuple[RunRecord | MissingRun, ...]
    vote_open: bool
    votes: BlindResults | None
    questions_sha256: str
    versions: Mapping[str, str]

    @property
    def verdicts(self) -> list[Verdict]:
        """All verdicts that count, question by question."""
        return [
            verdict
            for question in self.questions
            for verdict in (*(said for one in question.answers for said in one.verdicts), *question.pairs)
        ]


def gather(home: Home, evaluation: Evaluation) -> Evidence:
    """All that is known of an evaluation now.

    Raises:
        RunError: its statistics have not been counted yet.
        DataError: its comparison is gone, or a file is damaged.
    """
    results = evaluation.results()
    if results is None:
        raise RunError(f"{evaluation.id} has no results yet. Start it, or wait until it ends; the report is then made.")
    request, comparison = evaluation.request(), comparison_of(home, evaluation)
    asked, answers = comparison.request(), comparison.answers()
    texts = JudgeTexts(request, asked, answers)
    verdicts = standing_verdicts(texts, evaluation.verdicts())
    metrics = standing_metrics(answers, evaluation.metrics())
    return Evidence(
        id=evaluation.id,
        comparison=comparison.id,
        request=request,
        asked=asked,
        results=results,
        contenders=tuple(_contender(home, candidate) for candidate in asked.candidates),
        questions=judged_questions(request, asked, answers, list(verdicts.values()), metrics),
        table=score_table(asked, answers, request, verdicts, metrics),
        judge_texts=_judge_texts(request, asked, answers, texts),
        runs=run_records(home, [run for run in (asked.run, *(one.run for one in asked.candidates)) if run]),
        vote_open=being_judged(comparison),
        votes=_votes(comparison, asked),
        questions_sha256=content_hash(text for one in asked.questions for text in (one.text, one.reference)).hex(),
        versions=software(),
    )


def software() -> dict[str, str]:
    """The version of Python and of each of `PACKAGES` that is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _contender(home: Home, candidate: Candidate) -> Contender:
    local = Path(candidate.model).is_absolute() and candidate.kind in ("model", "gguf")
    form = f"{candidate.kind}:{title(candidate)}" if local else str(candidate)
    return Contender(title(candidate), form, _adapter_hash(home, candidate))


def _adapter_hash(home: Home, candidate: Candidate) -> str:
    if candidate.kind != "adapter":
        return ""
    try:
        with (adapter_folder(home, candidate) / _ADAPTER_WEIGHTS).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (
        StudioError,
        FileNotFoundError,
    ):  # the run has been deleted since; the report says so where it tells of runs
        return ""


def _judge_texts(
    request: EvaluationRequest, asked: ComparisonRequest, answers: list[ComparedAnswer], texts: JudgeTexts
) -> tuple[JudgeText, ...]:
    """What is said of each matter; judges are all told the same."""
    first = {call.matter: call for call in reversed(calls_of(request, asked, answers, 0))} if request.judges else {}
    prompts = {matter: texts.prompt(call) for matter, call in first.items()}
    return tuple(JudgeText(matter, prompts[matter].system, prompts[matter].prompt_hash) for matter in sorted(prompts))


def _votes(comparison: Comparison, asked: ComparisonRequest) -> BlindResults | None:
    """The count of an ended vote; raters are numbered, for a report is passed on."""
    vote = opened_vote(comparison)
    if vote is None or being_judged(comparison):
        return None
    counted = count_votes(human_votes(comparison), [title(one) for one in asked.candidates], vote.pairs)
    numbers = {rater: f"Rater {number}" for number, rater in enumerate(counted.raters, 1)}
    kappas = [
        kappa.model_copy(update={"first": numbers[kappa.first], "second": numbers[kappa.second]})
        for kappa in counted.kappas
    ]
    everybody = counted.all_agree
    if everybody is not None:
        everybody = everybody.model_copy(update={"raters": tuple(numbers[rater] for rater in everybody.raters)})
    return BlindResults(raters=tuple(numbers.values()), pairs=counted.pairs, kappas=tuple(kappas), all_agree=everybody)
