"""What came of an evaluation, as `core.evaluate.statistics` counts it."""

from __future__ import annotations

from typing import Literal

from core.compare.blind_summary import Share
from core.evaluate.request import Danger
from core.settings_base import Settings

Kind = Literal["total", "dimension", "rubric", "automatic"]
Finding = Literal["better", "worse", "unclear", "too few"]
"""What may be said of a difference. `better` and `worse` only where its interval excludes zero."""


class Average(Settings):
    """One measure of one candidate.

    Attributes:
        mean, deviation: over its questions, the sample standard deviation; None of a single one.
        of: how many questions have a value.
        low, high: the 95% interval of the mean; None where it cannot be told.
    """

    mean: float
    deviation: float | None
    of: int
    low: float | None = None
    high: float | None = None


class Difference(Settings):
    """One measure of a candidate against that of the baseline, on the questions that both have a value for.

    Attributes:
        candidate: by its place in the comparison.
        mean: candidate minus baseline.
        low, high: the paired bootstrap 95% interval of the mean; None of fewer than two questions.
        wins, losses, ties: on how many questions the candidate is better, worse, equal.
        p: of the Wilcoxon signed-rank test; None where no question differs.
        p_sign: of the sign test.
        p_adjusted: `p` after Holm's correction over the measures that are tested together.
        effect: the mean of the differences in units of their standard deviation; None where that is zero.
        finding: what may be said.
        more_questions: how many more would be needed to be sure of a difference of this size with 80 % power; None
            where nothing more is needed, or where it cannot be told.
    """

    candidate: int
    mean: float
    low: float | None
    high: float | None
    of: int
    wins: int
    losses: int
    ties: int
    p: float | None
    p_sign: float | None
    p_adjusted: float | None
    effect: float | None
    finding: Finding
    more_questions: int | None


class Measure(Settings):
    """One measure of all candidates.

    Attributes:
        name: such as `total`, `accuracy`, `rubric`, `rouge_l`, `reward`; `accuracy@1` is that of judge 1 alone.
        title: for people.
        kind: where it comes from.
        low, high: the ends of its scale; None where it has none.
        upward: whether more is better; None where neither is, such as of length.
        averages: of each candidate in their order; None where it has no value.
        differences: of every candidate but the baseline.
    """

    name: str
    title: str
    kind: Kind
    low: float | None
    high: float | None
    upward: bool | None
    averages: tuple[Average | None, ...]
    differences: tuple[Difference, ...]


class TypeBreakdown(Settings):
    """The questions of one kind.

    Attributes:
        type: as the data call it; text from outside.
        questions: how many there are.
        measures: those that are broken down: the total and the rubric, or the reward where there is no judge.
    """

    type: str
    questions: int
    measures: tuple[Measure, ...]


class DangerCount(Settings):
    """How many answers of one candidate a judge found dangerous.

    Attributes:
        danger: None counts answers with any of them.
        share: of the answers that were looked at, with its Wilson interval.
    """

    candidate: int
    danger: Danger | None
    count: int
    share: Share | None


class DangerDifference(Settings):
    """Dangers of any kind against the baseline, on the same questions and by judges that looked at both answers.

    Attributes:
        only_candidate, only_baseline: on how many questions only that one's answer is dangerous.
        p: of McNemar's exact test; None where they never differ.
    """

    candidate: int
    only_candidate: int
    only_baseline: int
    of: int
    p: float | None


class JudgeCount(Settings):
    """How one judge did its work.

    Attributes:
        judge: its name for people.
        calls: how many it was to be asked.
        given, unreadable, refused, failed: what came of those that have been asked.
        input_tokens, output_tokens: of the verdicts that stand, as its endpoint says; None where it never does. At
            least so many were paid for: those that were asked for again, or are on answers that have changed, are not
            in it.
        dollars: what that costs by the prices that were entered; None where they were not.
    """

    judge: str
    calls: int
    given: int
    unreadable: int
    refused: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    dollars: float | None


class PairPreference(Settings):
    """What one judge said of two candidates, each question asked in both orders.

    Attributes:
        first, second: the candidates, by their places.
        wins_first, wins_second, ties: of the questions on which both orders have a verdict; a disagreement is a tie.
        flips: how often the two orders contradicted each other.
        rate: how often the first won where one did, with its Wilson interval.
        p: of the sign test.
    """

    judge: int
    first: int
    second: int
    wins_first: int
    wins_second: int
    ties: int
    flips: Share | None
    rate: Share | None
    p: float | None


class JudgeAgreement(Settings):
    """How far judges agree on one measure.

    Attributes:
        alpha: Krippendorff's, ordinal; None where it cannot be told.
        kappa: Cohen's with quadratic weights, of two judges; None otherwise.
        items: how many answers more than one judge has marked.
    """

    measure: str
    judges: int
    items: int
    alpha: float | None
    kappa: float | None


class HumanAgreement(Settings):
    """How far a judge agrees with the blind votes on the same answers.

    Attributes:
        source: what of the judge is compared: `total` (the better mark wins), `rubric` or `pairwise`.
        items: questions and pairs that both have a verdict on; raters count by majority.
        same: on how many they agree.
        kappa: Cohen's over first, second and tie; None where it cannot be told.
    """

    judge: int
    source: str
    items: int
    same: int
    kappa: float | None


class LengthRelation(Settings):
    """Whether longer answers get higher scores.

    Attributes:
        rho: Spearman's correlation between a measure and the length in characters; None where it cannot be told.
    """

    candidate: int
    measure: str
    of: int
    rho: float | None
    p: float | None


class EvaluationResults(Settings):
    """All that is known when an evaluation has ended, or so far.

    Attributes:
        candidates: what they are called, in their order; text from outside.
        baseline: by its place.
        questions: how many there are.
        judges: none where only automatic metrics were taken.
        measures: the total first, then dimensions, rubric, automatic metrics; then those of single judges where there
            are several.
        limits: what these results do not show, in plain sentences.
        basis: what names all that they were counted from, see `core.evaluate.counting.basis`.
    """

    candidates: tuple[str, ...]
    baseline: int
    questions: int
    judges: tuple[JudgeCount, ...]
    measures: tuple[Measure, ...]
    types: tuple[TypeBreakdown, ...]
    dangers: tuple[DangerCount, ...]
    danger_differences: tuple[DangerDifference, ...]
    preferences: tuple[PairPreference, ...]
    judge_agreement: tuple[JudgeAgreement, ...]
    human_agreement: tuple[HumanAgreement, ...]
    lengths: tuple[LengthRelation, ...]
    limits: tuple[str, ...]
    basis: str = ""

    def measure(self, name: str) -> Measure | None:
        """The measure of this name; None when there is none."""
        return next((measure for measure in self.measures if measure.name == name), None)
