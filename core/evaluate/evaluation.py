"""Evaluations on disk: what judges and automatic metrics say of the answers of a comparison, and what came of it.

<home>/evaluations/<id>/
  request.json     whose answers, which judges, what they are asked; never changed afterwards
  verdicts.jsonl   append-only; the latest verdict of each call counts
  metrics.jsonl    append-only; the latest metrics of each answer count
  results.json     the statistics, replaced as a whole whenever they are counted anew
  report/          the evidence pack, see `core.evaluate.report`
  verdicts.lock    held by whoever appends
  judging.lock     held by whoever judges, as long as they do
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from core.access import audit
from core.access.permissions import allow
from core.compare.comparison import Comparison, ComparisonRequest, find_comparison, throw_away
from core.errors import ConfigError, DataError
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.folders import REQUEST, evaluation_folders, evaluations_folder, folders_that_judge
from core.evaluate.request import EvaluationRequest
from core.evaluate.results import EvaluationResults
from core.evaluate.settling import settled
from core.evaluate.verdicts import Call, Verdict
from core.json_lines import LineWriter, latest
from core.locks import held, locked
from core.paths import Home, is_name, new_folder, storage_error, write_json
from core.settings_base import Settings

_LOCK_SECONDS = 30
_BUSY = "Another process is just writing verdicts of this evaluation. Try again in a moment."


@dataclass(frozen=True)
class Evaluation:
    """One evaluation's folder."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def report_folder(self) -> Path:
        """Where the evidence pack lies; made by whoever writes it."""
        return self.folder / "report"

    def request(self) -> EvaluationRequest:
        """What was asked for.

        Raises:
            DataError: the file is damaged.
        """
        try:
            return EvaluationRequest.model_validate_json((self.folder / REQUEST).read_bytes())
        except (ValidationError, FileNotFoundError) as error:
            raise DataError(
                f"The evaluation {self.id} is damaged: its {REQUEST} cannot be read. Set up a new one."
            ) from error

    @property
    def created(self) -> float:
        """When it was made, in seconds since 1970; 0 of one that has just been deleted."""
        try:
            return (self.folder / REQUEST).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def verdicts(self) -> dict[Call, Verdict]:
        """What came last of each call, ordered by call, whatever has become of the answer since."""
        return latest(self.folder / "verdicts.jsonl", Verdict, lambda verdict: verdict.call)

    def add_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Write verdicts down, for good when this returns.

        Raises:
            StorageError: the disk is full, or somebody else keeps writing.
        """
        self._append("verdicts.jsonl", verdicts)

    def metrics(self) -> dict[tuple[int, int], AnswerMetrics]:
        """The latest metrics of each answer by question and candidate, ordered by these."""
        return latest(self.folder / "metrics.jsonl", AnswerMetrics, lambda line: (line.question, line.candidate))

    def add_metrics(self, metrics: Sequence[AnswerMetrics]) -> None:
        """Write automatic metrics down, for good when this returns.

        Raises:
            StorageError: the disk is full, or somebody else keeps writing.
        """
        self._append("metrics.jsonl", metrics)

    def results(self) -> EvaluationResults | None:
        """What came of it when the statistics were counted last; None before that.

        None, too, where the file is damaged or an earlier version has written it: they are only to be counted again.
        """
        try:
            return EvaluationResults.model_validate_json((self.folder / "results.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def keep_results(self, results: EvaluationResults) -> None:
        """Put `results` in the place of earlier ones, in one step.

        Raises:
            StorageError: the disk is full.
        """
        write_json(self.folder / "results.json", results.model_dump(mode="json"))

    def _append(self, name: str, lines: Sequence[Settings]) -> None:
        with locked(self.folder / "verdicts.lock", _LOCK_SECONDS, _BUSY):
            writer = LineWriter(self.folder / name)
            try:
                for line in lines:
                    writer.write(line.model_dump(mode="json"), sync=line is lines[-1])
            finally:
                writer.close()


def create_evaluation(home: Home, request: EvaluationRequest) -> Evaluation:
    """Make the folder of a new evaluation; nobody is asked yet.

    What is kept is the request as `core.evaluate.settling.settled` completes it.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: it does not fit its comparison, a judge stands there twice, or the environment's address is none.
        DataError: there is no such comparison, or it is damaged.
        StorageError: the disk is full or the home cannot be written.
    """
    allow("evaluation.create")
    asked = find_comparison(home, request.comparison).request()
    refuse_misfit(request, asked)
    kept = settled(home, request, asked)
    name = f"eval-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    folder = new_folder(evaluations_folder(home), name)
    try:
        write_json(folder / REQUEST, kept.model_dump(mode="json"))
    except OSError as error:
        raise storage_error(error, folder) or error from error
    audit.record(home, "evaluation.create", name, comparison=request.comparison)
    return Evaluation(folder)


def refuse_misfit(request: EvaluationRequest, asked: ComparisonRequest) -> None:
    """Refuse an evaluation that asks for what its comparison does not have.

    Raises:
        ConfigError: names the field, and what there is.
    """
    count = len(asked.candidates)
    if request.baseline >= count:
        raise ConfigError(f"baseline is {request.baseline}, but the models are numbered 0 to {count - 1}. Choose one.")
    if "pairwise" in request.methods and count < 2:
        raise ConfigError("Pairs need two models, and this comparison has one. Add a model, or leave pairs out.")
    column = request.type_column
    if column and not any(column in question.columns for question in asked.questions):
        known = sorted({name for question in asked.questions for name in question.columns})
        there = f"there is {', '.join(map(repr, known))}" if known else "they have no further columns"
        raise ConfigError(f"type_column is {column!r}, which no question has; {there}. Choose another or none.")


def find_evaluation(home: Home, evaluation_id: str) -> Evaluation:
    """The evaluation with this id; `last` means the newest.

    Raises:
        DataError: there is no such evaluation.
    """
    if evaluation_id == "last" and (found := list_evaluations(home)):
        return found[0]
    folder = evaluations_folder(home) / evaluation_id
    if not is_name(evaluation_id) or not (folder / REQUEST).is_file():
        raise DataError(f"There is no evaluation {evaluation_id!r}. Choose one from the list, or set up a new one.")
    return Evaluation(folder)


def list_evaluations(home: Home) -> list[Evaluation]:
    """All evaluations, the newest first."""
    return _newest_first(evaluation_folders(home))


def evaluations_of(home: Home, comparison: str) -> list[Evaluation]:
    """The evaluations of the comparison with this id, the newest first."""
    return _newest_first(folders_that_judge(home, comparison))


def comparison_of(home: Home, evaluation: Evaluation) -> Comparison:
    """The comparison whose answers are evaluated.

    Raises:
        DataError: it is gone, or the evaluation is damaged.
    """
    return find_comparison(home, evaluation.request().comparison)


def judging_alone(evaluation: Evaluation) -> Callable[[], None]:
    """Keep everybody else from judging or deleting an evaluation until the returned function is called, by any thread.

    Raises:
        RunError: it is being judged already.
    """
    busy = f"{evaluation.id} is being judged just now. Wait until that is done, or stop it."
    return held(evaluation.folder / "judging.lock", busy)


def delete_evaluation(home: Home, evaluation: Evaluation) -> None:
    """Remove an evaluation with its verdicts, results and report; the comparison with its answers stays.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: it is being judged.
        StorageError: its files cannot be moved or removed.
    """
    allow("evaluation.delete")
    release = judging_alone(evaluation)
    try:
        throw_away(home, evaluation.folder)
        audit.record(home, "evaluation.delete", evaluation.id)
    finally:
        release()


def _newest_first(folders: Iterable[Path]) -> list[Evaluation]:
    found = [Evaluation(folder) for folder in folders]
    return sorted(found, key=lambda evaluation: (evaluation.created, evaluation.id), reverse=True)
