"""Counts a blind vote that has ended: who was preferred how often, how sure that is, and how far raters agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, get_args

from pydantic import ValidationError

from core.compare.blind import HumanVote, human_votes
from core.compare.blind_ballots import Verdict
from core.compare.blind_summary import MANY, AllAgree, BlindResults, PairResult, Share, Tally
from core.compare.blind_votes import Pair, folder_of, opened_vote
from core.compare.comparison import Comparison, find_comparison
from core.jobs.tasks import Tell
from core.lab.fit_result import Kappa
from core.lab.rater_agreement import FEWEST_COMMON
from core.paths import Home, write_json
from core.serving.candidates import title

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_ERROR_RATE = 0.05
"""Of intervals: they hold the truth in 95 % of all votes."""

Ballots = Mapping[str, Mapping[tuple[str, Pair], Verdict]]
"""What each rater said of each question and pair."""


def results_task(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task `blind_results`: `comparison` is an id; returns a `BlindResults` and keeps it with the votes.

    Raises:
        DataError: there is no such comparison, or a file of it is damaged.
        RunError: the vote has not ended.
        StorageError: the disk is full.
    """
    tell("counting", 0, 0)
    comparison = find_comparison(home, arguments["comparison"])
    votes, vote = human_votes(comparison), opened_vote(comparison)
    titles = [title(candidate) for candidate in comparison.request().candidates]
    found = results(votes, titles, () if vote is None else vote.pairs).model_dump(mode="json")
    write_json(folder_of(comparison) / "results.json", found)
    return found


def kept_results(comparison: Comparison) -> BlindResults | None:
    """What the task has kept with the votes; None before it has run, or when an earlier version has written it."""
    try:
        return BlindResults.model_validate_json((folder_of(comparison) / "results.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def results(votes: Sequence[HumanVote], titles: Sequence[str], pairs: Sequence[Pair]) -> BlindResults:
    """Count the votes.

    Args:
        votes: at most one of a rater on each question and pair.
        titles: what the candidates are called, in their order.
        pairs: those that were voted on.
    """
    said: dict[str, dict[tuple[str, Pair], Verdict]] = {}
    for vote in votes:
        said.setdefault(vote.rater, {})[vote.question, vote.pair] = vote.verdict
    raters = tuple(sorted(said, key=str.casefold))
    return BlindResults(
        raters=raters,
        pairs=tuple(_pair([vote for vote in votes if vote.pair == pair], titles, pair) for pair in pairs),
        kappas=tuple(_kappa(said, one, two) for one, two in combinations(raters, 2)),
        all_agree=_all_agree(said) if len(said) >= MANY else None,
    )


def _pair(votes: Sequence[HumanVote], titles: Sequence[str], pair: Pair) -> PairResult:
    by_question: dict[str, list[Verdict]] = {}
    for vote in votes:
        by_question.setdefault(vote.question, []).append(vote.verdict)
    return PairResult(
        pair=pair,
        first=titles[pair[0]],
        second=titles[pair[1]],
        judgements=tally(vote.verdict for vote in votes),
        questions=tally(majority(verdicts) for verdicts in by_question.values()),
        raters=len({vote.rater for vote in votes}),
        repeated=any(len(verdicts) > 1 for verdicts in by_question.values()),
    )


def majority(verdicts: Sequence[Verdict]) -> Verdict:
    """What most raters of a question said; a tie where no verdict has most.

    >>> majority(["first", "first", "unsafe"]), majority(["first", "second"])
    ('first', 'tie')
    """
    most = Counter(verdicts).most_common(2)
    return "tie" if len(most) > 1 and most[0][1] == most[1][1] else most[0][0]


def tally(verdicts: Iterable[Verdict]) -> Tally:
    """Count verdicts on two candidates."""
    from scipy.stats import binomtest

    counts = Counter(verdicts)
    first, second, ties, unsafe = (counts[verdict] for verdict in VERDICTS)
    decided = first + second
    return Tally(
        first=first,
        second=second,
        ties=ties,
        unsafe=unsafe,
        rate=share(first, decided),
        rate_with_ties=share(first + ties / 2, decided + ties),
        p=float(binomtest(first, decided).pvalue) if decided else None,
        unsafe_share=share(unsafe, decided + ties + unsafe),
    )


def share(count: float, of: int) -> Share | None:
    """A share with Wilson's 95 % interval; None of nothing.

    >>> print(share(9, 10))
    90%, 95% interval 60% to 98%
    """
    from statsmodels.stats.proportion import proportion_confint

    if not of:
        return None
    low, high = proportion_confint(count, of, alpha=_ERROR_RATE, method="wilson")
    return Share(value=count / of, low=float(low), high=float(high), of=of)


def _kappa(said: Ballots, first: str, second: str) -> Kappa:
    """Cohen's kappa of two raters, over the ballots that both have cast; each of the four verdicts is an answer."""
    from sklearn.metrics import cohen_kappa_score

    one, two = said[first], said[second]
    common = [ballot for ballot in one if ballot in two]
    answers = [one[ballot] for ballot in common], [two[ballot] for ballot in common]
    same = sum(a == b for a, b in zip(*answers, strict=True))
    tellable = len(common) >= FEWEST_COMMON and len({*answers[0], *answers[1]}) > 1
    value = float(cohen_kappa_score(*answers, labels=list(VERDICTS))) if tellable else None
    return Kappa(first=first, second=second, pairs=len(common), same=same, value=value)


def _all_agree(said: Ballots) -> AllAgree:
    """Fleiss' kappa over the ballots that every rater has cast who has cast enough of them."""
    names = tuple(name for name in sorted(said, key=str.casefold) if len(said[name]) >= FEWEST_COMMON)
    ballots = [said[name] for name in names]
    common = [ballot for ballot in ballots[0] if all(ballot in other for other in ballots)] if ballots else []
    counts = [Counter(rater[ballot] for rater in ballots) for ballot in common]
    return AllAgree(
        raters=names,
        left_out=len(said) - len(names),
        least=FEWEST_COMMON,
        common=len(common),
        value=_fleiss(counts) if len(names) >= MANY else None,
    )


def _fleiss(counts: Sequence[Counter[Verdict]]) -> float | None:
    """Fleiss' kappa of how often each verdict was given, ballot by ballot; None where it cannot be told."""
    from statsmodels.stats.inter_rater import fleiss_kappa

    uniform = len({verdict for count in counts for verdict in count}) < 2  # kappa is nothing divided by nothing then
    table = [[count[verdict] for verdict in VERDICTS] for count in counts]
    return None if len(counts) < FEWEST_COMMON or uniform else float(fleiss_kappa(table, method="fleiss"))
