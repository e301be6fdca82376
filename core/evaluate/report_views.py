"""What the template of the report asks for beside the evidence itself: groups, names and single scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from core.evaluate import report_words as words
from core.evaluate.evidence import Evidence
from core.evaluate.figures import Scale, scales
from core.evaluate.judged_questions import JudgedAnswer, JudgedQuestion
from core.evaluate.metrics import metric_of
from core.evaluate.report_figures import scores_of
from core.evaluate.request import DANGERS
from core.evaluate.results import DangerCount, Difference, Measure
from core.evaluate.run_record import MissingRun, RunRecord
from core.evaluate.sentences import headline, main_measure, measure_title, safety_sentences
from core.evaluate.verdicts import Verdict
from core.text import one_line

_SNIPPET = 110


class ReportView:
    """One evaluation, seen by the report's template.

    Args:
        evidence: all that is known.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        results = evidence.results
        self.judged = bool(results.judges)
        self.title = evidence.request.title or evidence.asked.title or "Evaluation"
        self.names = results.candidates
        self.baseline = results.candidates[results.baseline]
        self.others = [place for place in range(len(self.names)) if place != results.baseline]
        self.main = main_measure(results)
        self.sentences = headline(results)
        self.safety = safety_sentences(results)
        self.scales: tuple[Scale, ...] = scales(results)
        self.runs = [run for run in evidence.runs if isinstance(run, RunRecord)]
        self.missing_runs = [run for run in evidence.runs if isinstance(run, MissingRun)]

    @property
    def judge_scales(self) -> list[tuple[int, Scale]]:
        """What judges marked, with the place of each among all scales."""
        return [(place, scale) for place, scale in enumerate(self.scales) if scale.measures[0].kind != "automatic"]

    @property
    def automatic_scales(self) -> list[tuple[int, Scale]]:
        """What was measured without a judge, with the place of each among all scales."""
        return [(place, scale) for place, scale in enumerate(self.scales) if scale.measures[0].kind == "automatic"]

    @property
    def automatic(self) -> list[Measure]:
        """All that was measured without a judge."""
        known = [measure for measure in self._evidence.results.measures if any(measure.averages)]
        return [measure for measure in known if measure.kind == "automatic"]

    @property
    def single_judges(self) -> list[Measure]:
        """The marks of each judge alone, where there are several."""
        return [measure for measure in self._evidence.results.measures if "@" in measure.name]

    @property
    def splits(self) -> Mapping[str, int]:
        """How many questions come from each split."""
        return Counter(question.question.split for question in self._evidence.questions)

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many questions there are of each kind; text from outside."""
        return Counter(question.kind for question in self._evidence.questions if question.kind)

    def dangers(self, candidate: int) -> list[DangerCount]:
        """The counts of one candidate: any danger first, then each kind."""
        order = {name: place for place, name in enumerate((None, *DANGERS))}
        found = [count for count in self._evidence.results.dangers if count.candidate == candidate]
        return sorted(found, key=lambda count: order[count.danger])

    def any_danger(self, candidate: int) -> DangerCount | None:
        """How many of a candidate's answers are dangerous in any way; None where nobody looked."""
        return next((count for count in self.dangers(candidate) if count.danger is None), None)

    def difference(self, candidate: int) -> Difference | None:
        """How a candidate differs from the baseline in the main measure; None of the baseline itself."""
        found = self.main.differences if self.main else ()
        return next((difference for difference in found if difference.candidate == candidate), None)

    def judge(self, place: int) -> str:
        """The name of a judge; text from outside."""
        return self._evidence.results.judges[place].judge

    def measure(self, name: str) -> str:
        """What people call a measure."""
        return measure_title(self._evidence.results, name)

    def said_of_judge(self, place: int) -> tuple[list[str], list[str], list[str]]:
        """The models and versions that answered as a judge, and how it was asked; with counts where that differs."""
        verdicts = [verdict for verdict in self._evidence.verdicts if verdict.judge == place]
        models = sorted({verdict.judge_model for verdict in verdicts if verdict.judge_model})
        versions = sorted({verdict.system_fingerprint for verdict in verdicts if verdict.system_fingerprint})
        replies = [verdict for verdict in verdicts if verdict.outcome in ("given", "unreadable")]
        asked = Counter(words.asked_with(verdict.parameters) for verdict in replies)
        if len(asked) < 2:
            return models, versions, list(asked)
        return models, versions, [f"{way}: {count:,} replies" for way, count in sorted(asked.items())]

    def snippet(self, question: JudgedQuestion) -> str:
        """A question in one line."""
        return one_line(question.question.text, _SNIPPET)

    def scores(self, question: JudgedQuestion) -> str:
        """What each candidate got for a question, in their order."""
        return " · ".join(
            words.number(None if np.isnan(score) else score) for score in self._scores[question.number - 1]
        )

    def metrics(self, one: JudgedAnswer) -> list[tuple[str, str]]:
        """The automatic metrics of an answer that have a value: their titles and values."""
        known = [(name, value) for name, value in one.metrics.items() if value is not None]
        return [(metric_of(name).title, words.number(value)) for name, value in known]

    def seen_dangers(self, verdict: Verdict) -> list[str]:
        """The dangers that a judge saw in an answer."""
        return [words.item(name) for name, seen in verdict.dangers.items() if seen]

    def dangerous(self, question: JudgedQuestion) -> bool:
        """Whether a judge saw a danger in one of the answers to a question."""
        return any(any(verdict.dangers.values()) for one in question.answers for verdict in one.verdicts)

    def preferred(self, verdict: Verdict) -> str:
        """The candidate that a judge preferred of a pair, or that neither was better."""
        place = {"first": verdict.candidate, "second": verdict.other}.get(verdict.preferred or "")
        return "neither" if place is None else self.names[place]

    @cached_property
    def _scores(self) -> list[list[float]]:
        count = len(self._evidence.questions)
        if self.main is None:
            return [[] for _ in range(count)]
        scores: list[list[float]] = scores_of(self._evidence.table, self.main, count, len(self.names)).tolist()
        return scores
