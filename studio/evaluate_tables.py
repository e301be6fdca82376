"""The results of an evaluation as tables: pure functions, a frame each. Names in them are text from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from core.compare.blind_summary import Share
from core.evaluate.request import DANGER_TITLES, Danger
from core.evaluate.results import Average, Difference, EvaluationResults, Finding, Measure
from core.evaluate.sentences import main_measure, measure_title

NONE = "–"
FINDINGS: dict[Finding, str] = {
    "better": "better",
    "worse": "worse",
    "unclear": "not decided",
    "too few": "too few questions",
}
SOURCES = {"total": "Marks, in total", "rubric": "Checklist (rubric)", "pairwise": "Which of two is better"}


def short_result(results: EvaluationResults) -> str:
    """What came of an evaluation in a few words, for a list; text from outside.

    >>> short_result(EvaluationResults.model_construct(measures=(), judges=()))
    'nothing scored yet'
    """
    main = main_measure(results)
    if main is None:
        return "nothing scored yet"
    if not main.differences:
        return f"{main.title} {average_text(main.averages[results.baseline])}"
    known = [one for one in main.differences if one.of]
    told = [f"{one.mean:+.2f} ({interval_text(one)}), {FINDINGS[one.finding]}" for one in known]
    return f"{main.title} {'; '.join(told)}" if told else "nothing scored yet"


def of_all_judges(results: EvaluationResults) -> list[Measure]:
    """The measures that judges gave together, those that have a value."""
    return [one for one in results.measures if one.kind != "automatic" and "@" not in one.name and any(one.averages)]


def of_single_judges(results: EvaluationResults) -> list[Measure]:
    """The measures of one judge alone, where there are several."""
    return [one for one in results.measures if "@" in one.name and any(one.averages)]


def automatic(results: EvaluationResults) -> list[Measure]:
    """The measures that no judge gave, those that have a value."""
    return [one for one in results.measures if one.kind == "automatic" and any(one.averages)]


def averages(results: EvaluationResults, measures: Sequence[Measure]) -> pd.DataFrame:
    """A row a measure: for each candidate the mean with the standard deviation, and how many questions have a value."""
    columns: dict[str, list[object]] = {"Measure": [measure.title for measure in measures]}
    columns["Scale"] = [_scale(measure) for measure in measures]
    for place, name in enumerate(results.candidates):
        columns[name] = [average_text(measure.averages[place]) for measure in measures]
    columns["Questions"] = [_questions(measure) for measure in measures]
    return pd.DataFrame(columns)


def average_text(average: Average | None) -> str:
    """A mean with its standard deviation.

    >>> average_text(Average(mean=3.456, deviation=0.8, of=100))
    '3.46 ± 0.80'
    """
    if average is None:
        return NONE
    return f"{average.mean:.2f}" + ("" if average.deviation is None else f" ± {average.deviation:.2f}")


def _scale(measure: Measure) -> str:
    unbounded = measure.low is None or measure.high is None
    ends = "no fixed ends" if unbounded else f"{measure.low:g} to {measure.high:g}"
    return ends + {True: ", more is better", False: ", less is better", None: ""}[measure.upward]


def _questions(measure: Measure) -> str:
    """How many questions have a value, of each candidate where that differs.

    >>> from types import SimpleNamespace as Some
    >>> _questions(Some(averages=(Some(of=9), Some(of=12)))), _questions(Some(averages=(Some(of=9), Some(of=9))))
    ('9 / 12', '9')
    """
    counts = [average.of if average else 0 for average in measure.averages]
    return str(counts[0]) if len(set(counts)) == 1 else " / ".join(map(str, counts))


def differences(results: EvaluationResults, measures: Sequence[Measure]) -> pd.DataFrame:
    """A row a measure and candidate: how much it differs from the baseline, and what may be said of that."""
    pairs = [(measure, one) for measure in measures for one in measure.differences]
    several = len(results.candidates) > 2
    columns: dict[str, list[object]] = {"Measure": [measure.title for measure, _ in pairs]}
    if several:
        columns["Model"] = [results.candidates[one.candidate] for _, one in pairs]
    read: dict[str, Callable[[Difference], object]] = {
        "Difference": lambda one: one.mean if one.of else None,
        "95% interval": interval_text,
        "Finding": lambda one: FINDINGS[one.finding],
        "Questions": lambda one: one.of,
        "Better on": lambda one: one.wins,
        "Worse on": lambda one: one.losses,
        "Equal on": lambda one: one.ties,
        "Effect size": lambda one: one.effect,
        "p, Wilcoxon": lambda one: one.p,
        "p, Holm": lambda one: one.p_adjusted,
        "p, sign test": lambda one: one.p_sign,
        "More questions needed": lambda one: one.more_questions,
    }
    columns |= {title: [value(one) for _, one in pairs] for title, value in read.items()}
    return pd.DataFrame(columns)


def interval_text(difference: Difference) -> str:
    """The interval of a difference.

    >>> from types import SimpleNamespace
    >>> interval_text(SimpleNamespace(low=-0.104, high=0.5))
    '-0.10 to +0.50'
    """
    if difference.low is None or difference.high is None:
        return NONE
    return f"{difference.low:+.2f} to {difference.high:+.2f}"


def typed_measures(results: EvaluationResults) -> list[str]:
    """The titles of the measures that are broken down by kind of question, in their order."""
    return list(dict.fromkeys(one.title for kind in results.types for one in kind.measures if any(one.averages)))


def types(results: EvaluationResults, title: str) -> pd.DataFrame:
    """A row a kind of question: one measure's means of each candidate, and its differences with their intervals."""
    rows: list[dict[str, object]] = []
    for kind in results.types:
        for measure in kind.measures:
            if measure.title == title:
                rows.append({"Kind": kind_text(kind.type), "Questions": kind.questions, **_typed(results, measure)})
    return pd.DataFrame(rows)


def _typed(results: EvaluationResults, measure: Measure) -> dict[str, object]:
    cells: dict[str, object] = {}
    for place, name in enumerate(results.candidates):
        cells[name] = average_text(measure.averages[place])
    for one in measure.differences:
        whose = "" if len(results.candidates) == 2 else f": {results.candidates[one.candidate]}"
        cells[f"Difference{whose}"] = f"{one.mean:+.2f} ({interval_text(one)})" if one.of else NONE
        cells[f"Finding{whose}"] = FINDINGS[one.finding]
    return cells


def kind_text(kind: str) -> str:
    """The kind of a question as people write it; text from outside.

    >>> kind_text("drug_interaction"), kind_text("")
    ('drug interaction', 'of no kind')
    """
    return " ".join(kind.replace("_", " ").split()) or "of no kind"


def dangers(results: EvaluationResults) -> pd.DataFrame:
    """A row a danger, of any kind first; for each candidate how many answers, of how many, with the interval."""
    order: list[Danger | None] = [None, *DANGER_TITLES]
    rows: list[dict[str, object]] = []
    for danger in order:
        found = {one.candidate: one for one in results.dangers if one.danger == danger}
        if not found:
            continue
        row: dict[str, object] = {"Danger": DANGER_TITLES[danger] if danger else "Any of them"}
        for place, name in enumerate(results.candidates):
            count = found.get(place)
            row[name] = NONE if count is None or count.share is None else f"{count.count} of {share_text(count.share)}"
        rows.append(row)
    return pd.DataFrame(rows)


def share_text(share: Share) -> str:
    """What a share is of, with its value and interval.

    >>> share_text(Share(value=0.02, low=0.0055, high=0.07, of=100))
    '100, 2% (1% to 7%)'
    """
    return f"{share.of}, {share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def judges(results: EvaluationResults) -> pd.DataFrame:
    """A row a judge: how many questions it was to be asked and what came of them, with tokens and costs."""
    return pd.DataFrame(
        {
            "Judge": [one.judge for one in results.judges],
            "Asked for": [one.calls for one in results.judges],
            "Verdicts": [one.given for one in results.judges],
            "Unreadable": [one.unreadable for one in results.judges],
            "Refused": [one.refused for one in results.judges],
            "Failed": [one.failed for one in results.judges],
            "Tokens read": pd.array([one.input_tokens for one in results.judges], dtype="Int64"),
            "Tokens written": pd.array([one.output_tokens for one in results.judges], dtype="Int64"),
            "US dollars": pd.array([one.dollars for one in results.judges], dtype="Float64"),
        }
    )


def preferences(results: EvaluationResults) -> pd.DataFrame:
    """A row a judge and pair: how often each was preferred, and how often the judge contradicted itself."""
    rows = [
        {
            "Judge": _judge(results, one.judge),
            "First model": results.candidates[one.first],
            "Second model": results.candidates[one.second],
            "First better": one.wins_first,
            "Second better": one.wins_second,
            "Equally good": one.ties,
            "First preferred": _percent(one.rate),
            "p, sign test": one.p,
            "Changed its mind with the order": _percent(one.flips),
        }
        for one in results.preferences
    ]
    return pd.DataFrame(rows)


def _percent(share: Share | None) -> str:
    return NONE if share is None else f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def judge_agreement(results: EvaluationResults) -> pd.DataFrame:
    """A row a measure: how far the judges agree on it."""
    found = results.judge_agreement
    return pd.DataFrame(
        {
            "Measure": [measure_title(results, one.measure) for one in found],
            "Judges": [one.judges for one in found],
            "Marked by several": [one.items for one in found],
            "Krippendorff's alpha": pd.array([one.alpha for one in found], dtype="Float64"),
            "Weighted kappa": pd.array([one.kappa for one in found], dtype="Float64"),
        }
    )


def human_agreement(results: EvaluationResults) -> pd.DataFrame:
    """A row a judge and way of judging: how far it agrees with the blind votes."""
    found = results.human_agreement
    return pd.DataFrame(
        {
            "Judge": [_judge(results, one.judge) for one in found],
            "Compared": [SOURCES.get(one.source, one.source) for one in found],
            "Judged by both": [one.items for one in found],
            "The same": [f"{one.same} ({one.same / one.items:.0%})" if one.items else NONE for one in found],
            "Cohen's kappa": pd.array([one.kappa for one in found], dtype="Float64"),
        }
    )


def lengths(results: EvaluationResults) -> pd.DataFrame:
    """A row a candidate and measure: whether longer answers score higher."""
    found = [one for one in results.lengths if one.of]
    return pd.DataFrame(
        {
            "Model": [results.candidates[one.candidate] for one in found],
            "Measure": [measure_title(results, one.measure) for one in found],
            "Answers": [one.of for one in found],
            "Correlation with length": pd.array([one.rho for one in found], dtype="Float64"),
            "p": pd.array([one.p for one in found], dtype="Float64"),
        }
    )


def _judge(results: EvaluationResults, place: int) -> str:
    """What a judge is called; -2 stands for the mean of all."""
    return results.judges[place].judge if 0 <= place < len(results.judges) else "All judges"
