"""What came of an evaluation, in plain sentences; names in them are text from outside."""

from __future__ import annotations

from collections.abc import Sequence

from core.compare.blind_summary import SURE
from core.evaluate.differences import FEWEST, FEWEST_DIFFERING
from core.evaluate.request import DANGER_TITLES
from core.evaluate.results import (
    DangerCount,
    DangerDifference,
    Difference,
    EvaluationResults,
    Finding,
    Measure,
    PairPreference,
)
from core.evaluate.table import REWARD, RUBRIC, TOTAL

_FURTHER_TITLES = {"danger": "Any danger", "pairwise": "Which of two is better"}
_MOST_DECIMALS = 6


def main_measure(results: EvaluationResults) -> Measure | None:
    """The measure that sums an evaluation up: the total, else the rubric; the reward only where there is no judge."""
    return next(iter(_main_measures(results)), None)


def _main_measures(results: EvaluationResults) -> list[Measure]:
    names = (TOTAL, RUBRIC) if results.judges else (REWARD,)
    return [measure for name in names if (measure := results.measure(name)) is not None]


def measure_title(results: EvaluationResults, name: str) -> str:
    """What people call a measure, or another thing that judges agree on; text from outside.

    >>> measure_title(EvaluationResults.model_construct(measures=()), "danger")
    'Any danger'
    """
    measure = results.measure(name)
    return measure.title if measure is not None else _FURTHER_TITLES.get(name, name)


def headline(results: EvaluationResults) -> tuple[str, ...]:
    """What there is to say, the most important first; dangers are told apart by `safety_sentences`."""
    said: list[str] = []
    for measure in _main_measures(results):
        said += [difference_sentence(results, measure, one) for one in measure.differences] or [
            _alone(results, measure)
        ]
    said += [_preference(results, one) for one in results.preferences]
    if not results.judges:
        said.append(
            "No judge was asked: these numbers are automatic, and say nothing on whether an answer is medically right."
        )
    said += _by_dimension(results)
    return tuple(said) or ("There is nothing to tell yet: no answer has been judged or measured.",)


def difference_sentence(results: EvaluationResults, measure: Measure, difference: Difference) -> str:
    """What is known of one candidate against the baseline on one measure."""
    who, baseline = _name(results, difference.candidate), _name(results, results.baseline)
    if not difference.of:
        return f"Nothing can be said of {who} and {baseline} in {measure.title}: no question has a score of both."
    found = _found(measure, difference)
    if measure.upward is None:
        return f"{who} differs from {baseline} in {measure.title} by {found}; neither more nor less is better."
    if difference.finding in ("better", "worse"):
        said = f"{who} is {difference.finding} than {baseline} in {measure.title}: {found}."
        return f"{said} {_not_confirmed(difference)}".strip()
    if not difference.wins + difference.losses:
        return f"{who} and {baseline} have the same score on every question in {measure.title}: {found}."
    if difference.finding == "too few":
        return f"{_too_few(who, baseline, measure, difference)}: {found}.{_more(difference)}"
    return f"Whether {who} or {baseline} is better in {measure.title} cannot be told: {found}.{_more(difference)}"


def _too_few(who: str, baseline: str, measure: Measure, difference: Difference) -> str:
    if difference.of < FEWEST:
        return f"Too few questions to compare {who} with {baseline} in {measure.title} (at least {FEWEST} are needed)"
    return (
        f"Too few questions on which {who} and {baseline} differ in {measure.title} to call one better "
        f"({difference.wins + difference.losses}; at least {FEWEST_DIFFERING} are needed)"
    )


def _found(measure: Measure, difference: Difference) -> str:
    ends = (difference.low, difference.high)
    numbers = [number for number in (difference.mean, *ends) if number is not None]
    decimals = _decimals(numbers)
    scale = (
        "" if measure.low is None or measure.high is None else f" on a scale from {measure.low:g} to {measure.high:g}"
    )
    questions = f"{difference.of:,} question{'s' if difference.of > 1 else ''}"
    mean, *interval = (_signed(number, decimals) for number in numbers)
    sure = f"95% interval {' to '.join(interval)}, " if interval else ""
    return f"{mean}{scale} ({sure}{questions})"


def _decimals(numbers: Sequence[float]) -> int:
    """Two, or as many as it takes for no number to look like zero that is none."""
    wanted = [decimals for decimals in range(2, _MOST_DECIMALS) if all(round(n, decimals) for n in numbers if n)]
    return wanted[0] if wanted else _MOST_DECIMALS


def _signed(number: float, decimals: int) -> str:
    """A number with its sign, a true minus.

    >>> _signed(-0.125, 2), _signed(0.5, 2), _signed(-0.0, 2)
    ('−0.12', '+0.50', '0.00')
    """
    return f"{number:+,.{decimals}f}".replace("-", "−") if number else f"{0:.{decimals}f}"


def _not_confirmed(difference: Difference) -> str:
    """That the test, corrected for all that were made together, does not say the same; mostly empty."""
    if difference.p_adjusted is None or difference.p_adjusted < SURE:
        return ""
    return (
        "The signed-rank test, corrected for how many were made, does not confirm this "
        f"({p_words(difference.p_adjusted)}); treat it with care."
    )


def _more(difference: Difference) -> str:
    more = difference.more_questions
    if more is None:
        return ""
    return f" About {more:,} more question{'s' if more > 1 else ''} would be needed to show a difference of this size."


def p_words(p: float) -> str:
    """A p value as it is printed.

    >>> p_words(0.0312), p_words(0.0000004)
    ('p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _alone(results: EvaluationResults, measure: Measure) -> str:
    average = measure.averages[0]
    if average is None:
        return f"{_name(results, 0)} has no score in {measure.title}."
    sure = "" if average.low is None else f"95% interval {average.low:.2f} to {average.high:.2f}, "
    return f"{_name(results, 0)} scores {average.mean:.2f} in {measure.title} ({sure}{average.of:,} questions)."


def _by_dimension(results: EvaluationResults) -> list[str]:
    """Of every candidate, on which dimensions it is better, worse, or neither."""
    dimensions = [one for one in results.measures if one.kind == "dimension" and "@" not in one.name]
    said = []
    for place, candidate in enumerate(who for who in range(len(results.candidates)) if who != results.baseline):
        by_finding: dict[Finding, list[str]] = {}
        for measure in dimensions:
            by_finding.setdefault(measure.differences[place].finding, []).append(measure.title)
        words: dict[Finding, str] = {"better": "better", "worse": "worse", "unclear": "not clearly different"}
        parts = [f"{word} in {', '.join(by_finding[it])}" for it, word in words.items() if it in by_finding]
        if parts:
            who, baseline = _name(results, candidate), _name(results, results.baseline)
            said.append(f"Against {baseline}, {who} is {'; '.join(parts)}.")
    return said


def _preference(results: EvaluationResults, one: PairPreference) -> str:
    judge, of = results.judges[one.judge].judge, one.wins_first + one.wins_second + one.ties
    first, second = _name(results, one.first), _name(results, one.second)
    if not of:
        return f"{judge} has compared no answer of {first} with one of {second} in both orders."
    if one.rate is None or one.p is None:
        return f"{judge} preferred neither {first} nor {second} on any of {of:,} questions."
    ahead = one.wins_first >= one.wins_second
    if not ahead:
        first, second = second, first
    rate = one.rate if ahead else one.rate.turned
    sure = one.p < SURE and rate.low > 0.5
    claim = "more than chance explains" if sure else "chance alone could explain that"
    return (
        f"{judge} preferred {first} over {second} on {max(one.wins_first, one.wins_second):,} of {rate.of:,} questions "
        f"on which it preferred one ({rate}); {claim}. {one.ties:,} of {of:,} are ties."
    )


def safety_sentences(results: EvaluationResults) -> tuple[str, ...]:
    """What judges found dangerous, candidate by candidate, then against the baseline; empty where nobody looked."""
    counts = [_dangers(results, one) for one in results.dangers if one.danger is None]
    return (*counts, *(_danger_difference(results, one) for one in results.danger_differences))


def _dangers(results: EvaluationResults, count: DangerCount) -> str:
    who = _name(results, count.candidate)
    if count.share is None:
        return f"No answer of {who} has been looked at for dangers."
    if not count.count:
        return (
            f"No danger was seen in {count.share.of:,} answers of {who}; up to {count.share.high:.1%} of such answers "
            "may still be dangerous (95% interval)."
        )
    kinds = [
        f"{DANGER_TITLES[one.danger].lower()} in {one.count:,}"
        for one in results.dangers
        if one.candidate == count.candidate and one.danger is not None and one.count
    ]
    return (
        f"{count.count:,} of {count.share.of:,} answers of {who} were found dangerous ({count.share}): "
        f"{', '.join(kinds)}."
    )


def _danger_difference(results: EvaluationResults, one: DangerDifference) -> str:
    who, baseline = _name(results, one.candidate), _name(results, results.baseline)
    if not one.of:
        return f"No question has answers of both {who} and {baseline} that were looked at for dangers."
    if one.p is None:
        return f"On none of {one.of:,} questions is only one of the answers of {who} and {baseline} dangerous."
    claim = "more than chance explains" if one.p < SURE else "chance alone could explain that"
    return (
        f"Of {one.of:,} questions, only the answer of {who} is dangerous on {one.only_candidate:,}, only that of "
        f"{baseline} on {one.only_baseline:,} (McNemar's exact test, {p_words(one.p)}); {claim}."
    )


def _name(results: EvaluationResults, candidate: int) -> str:
    return f"“{results.candidates[candidate]}”"
