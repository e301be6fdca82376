"""What the results of an evaluation do not show, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.evaluate.calls import calls_of
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.request import EvaluationRequest
from core.evaluate.results import EvaluationResults
from core.evaluate.sentences import measure_title
from core.lab.fit_result import agreement_word
from core.lab.rater_agreement import FEWEST_COMMON
from core.reward.judge_prompt import LONGEST
from core.serving.candidates import BEST

FEW_QUESTIONS = 30
"""Below so many, intervals are wide and a few odd questions decide."""
LEAST_ALPHA = 0.667
"""Below this Krippendorff advises against conclusions: Content Analysis, third edition, 2013, section 12.3."""
LEAST_KAPPA = 0.4
"""Below this agreement is at best fair, see `core.lab.fit_result.agreement_word`."""
MANY_FLIPS = 0.2
"""A judge who contradicts itself on more pairs than this looks at places rather than answers."""
LENGTH_MATTERS = 0.3
"""A medium correlation by Cohen's rule of thumb: A power primer, Psychological Bulletin 112, 1992."""

_SURE = 0.05


@dataclass(frozen=True)
class _Known:
    """All that a limit may depend on."""

    comparison: ComparisonRequest
    answers: Sequence[ComparedAnswer]
    request: EvaluationRequest
    results: EvaluationResults

    def name(self, candidate: int) -> str:
        return f"“{self.results.candidates[candidate]}”"


def limits(
    comparison: ComparisonRequest,
    answers: Sequence[ComparedAnswer],
    request: EvaluationRequest,
    results: EvaluationResults,
) -> tuple[str, ...]:
    """What these results do not show; names in them are text from outside.

    Args:
        results: without limits of their own.
    """
    known = _Known(comparison, answers, request, results)
    parts: tuple[Callable[[_Known], Iterator[str]], ...] = (
        _of_judges,
        _of_people,
        _of_own_answers,
        _of_verdicts,
        _of_cut_texts,
        _of_agreement,
        _of_orders,
        _of_lengths,
        _of_questions,
        _of_other_data,
        _of_answers,
        _of_dangers,
        _of_tests,
    )
    return tuple(sentence for part in parts for sentence in part(known))


def _of_judges(known: _Known) -> Iterator[str]:
    judges = known.results.judges
    if not judges:
        yield (
            "No judge was asked. These numbers are automatic: they compare texts, and say nothing on whether an answer "
            "is medically right."
        )
    if len(judges) == 1:
        yield (
            f"All marks come from one language model, {judges[0].judge}. Another judge may mark differently; a second "
            "one would show how much."
        )


def _of_people(known: _Known) -> Iterator[str]:
    if not known.results.judges:
        return
    if not known.results.human_agreement:
        judges = "the judge agrees" if len(known.results.judges) == 1 else "the judges agree"
        yield (
            f"Nobody has voted blind on these answers, so how far {judges} with clinicians is not known. Vote on "
            "Compare to find out."
        )
    for one in known.results.human_agreement:
        judge = f"{known.results.judges[one.judge].judge} ({measure_title(known.results, one.source)})"
        if one.items < FEWEST_COMMON:
            yield f"Only {one.items} blind votes can be compared with {judge}: too few to tell how far they agree."
        elif one.kappa is not None and one.kappa < LEAST_KAPPA:
            yield (
                f"{judge} agrees with the blind votes on {one.same} of {one.items}; chance aside, that is "
                f"{agreement_word(one.kappa)} (Cohen's kappa {one.kappa:.2f}). Its marks do not stand for people's."
            )


def _of_own_answers(known: _Known) -> Iterator[str]:
    for judge in known.request.judges:
        own = [place for place, one in enumerate(known.comparison.candidates) if one.model == judge.model]
        if own:
            names = " and ".join(known.name(place) for place in own)
            yield f"{judge.model} judged answers of its own model, {names}. Models tend to prefer their own answers."


def _of_verdicts(known: _Known) -> Iterator[str]:
    for judge in known.results.judges:
        missing = judge.calls - judge.given
        unasked = missing - judge.unreadable - judge.refused - judge.failed
        if missing:
            yield (
                f"{missing:,} of {judge.calls:,} verdicts of {judge.judge} are missing: "
                f"{judge.unreadable:,} unreadable, {judge.refused:,} refused, {judge.failed:,} failed, {unasked:,} not "
                "asked for. They are left out and never counted as zero; if they are those on hard questions, the "
                "means are too good."
            )


def _of_cut_texts(known: _Known) -> Iterator[str]:
    if not known.request.judges:
        return
    texts = JudgeTexts(known.request, known.comparison, known.answers)
    calls = calls_of(known.request, known.comparison, known.answers, 0)
    cut = sum(texts.is_cut(call) for call in calls)
    if cut:
        yield (
            f"{cut:,} of {len(calls):,} questions to {'the judge' if len(known.request.judges) == 1 else 'each judge'} "
            f"hold a text of more than {LONGEST:,} characters. Of such a text only the beginning is judged."
        )


def _of_agreement(known: _Known) -> Iterator[str]:
    low = [
        f"{measure_title(known.results, one.measure)} ({one.alpha:.2f})"
        for one in known.results.judge_agreement
        if one.alpha is not None and one.alpha < LEAST_ALPHA
    ]
    if low:
        yield (
            f"The judges agree too little for firm conclusions on {', '.join(low)}: Krippendorff's alpha is below "
            f"{LEAST_ALPHA}."
        )


def _of_orders(known: _Known) -> Iterator[str]:
    for one in known.results.preferences:
        if one.flips is not None and one.flips.value > MANY_FLIPS:
            yield (
                f"{known.results.judges[one.judge].judge} changed its mind with the order of the answers of "
                f"{known.name(one.first)} and {known.name(one.second)} on {one.flips.value:.0%} of the questions. "
                "These count as ties."
            )


def _of_lengths(known: _Known) -> Iterator[str]:
    for one in known.results.lengths:
        if one.rho is not None and one.p is not None and abs(one.rho) >= LENGTH_MATTERS and one.p < _SURE:
            yield (
                f"{known.name(one.candidate)}: {'longer' if one.rho > 0 else 'shorter'} answers score higher in "
                f"{measure_title(known.results, one.measure)} (Spearman's correlation {one.rho:.2f}). The score may "
                "partly reward length."
            )


def _of_questions(known: _Known) -> Iterator[str]:
    questions = known.comparison.questions
    if len(questions) < FEW_QUESTIONS:
        yield f"Only {len(questions)} questions were asked, so a few odd ones may decide."
    trained = sum(question.split == "train" for question in questions)
    if trained:
        yield (
            f"{trained:,} of {len(questions):,} questions are from the training data. A trained model may remember "
            "them; only held-out questions show what it has learned."
        )
    typed = sum(question.split == "typed" for question in questions)
    if typed:
        yield (
            f"{typed:,} of {len(questions):,} questions were typed in or come from no known split, so whether a model "
            "was trained on them is not known."
        )
    yield from _of_choosing(known)
    yield (
        "Each model answered each question once"
        + (", and another seed gives other answers" if known.comparison.decoding.temperature else "")
        + ". The intervals say how sure the result is for other questions of this kind, not for other patients, places "
        "or prompts."
    )


def _of_choosing(known: _Known) -> Iterator[str]:
    """That a checkpoint has been chosen by the questions that it is now asked."""
    questions = known.comparison.questions
    seen = sum(question.split == "validation" for question in questions)
    chosen = {place for place, one in enumerate(known.comparison.candidates) if one.checkpoint == BEST}
    best = [known.name(place) for place in sorted(chosen.difference(known.request.trained_elsewhere))]
    if seen and best:
        yield (
            f"{seen:,} of {len(questions):,} questions are from the validation data, by which {' and '.join(best)} "
            f"{'was' if len(best) == 1 else 'were'} chosen as best. Such a choice looks better on them than it is."
        )


def _of_other_data(known: _Known) -> Iterator[str]:
    places = known.request.trained_elsewhere
    if places:
        names = " and ".join(known.name(place) for place in places)
        yield (
            f"{names} learned from other data than those that hold out these questions, so whether training has shown "
            "the same questions there is not known."
        )


def _of_answers(known: _Known) -> Iterator[str]:
    there = {(answer.question, answer.candidate): answer for answer in known.answers}
    asked = len(known.comparison.questions)
    for candidate in range(len(known.comparison.candidates)):
        of_one = [answer for (_, who), answer in there.items() if who == candidate and not answer.error]
        if len(of_one) < asked:
            yield f"{known.name(candidate)} gave no whole answer to {asked - len(of_one):,} of {asked:,} questions."
        cut = sum(answer.truncated for answer in of_one)
        if cut:
            yield (
                f"{cut:,} of {len(of_one):,} answers of {known.name(candidate)} were cut off for length. They may be "
                "marked down for what they did not get to say."
            )


def _of_dangers(known: _Known) -> Iterator[str]:
    if known.results.dangers:
        yield (
            "Dangers were looked for by a language model, not by a clinician. What it did not see may still be there."
        )


def _of_tests(known: _Known) -> Iterator[str]:
    tests = sum(one.p is not None for measure in known.results.measures for one in measure.differences)
    if tests > 1:
        yield (
            f"{tests:,} differences were tested. Intervals are not corrected for that, so about one in twenty "
            "excludes zero by chance alone; the corrected p values (Holm) take it into account."
        )
