"""What came of a blind vote: counts, intervals, tests and agreement, against cases that can be checked by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from core.compare.blind import HumanVote
from core.compare.blind_ballots import Verdict
from core.compare.blind_results import kept_results, majority, results, results_task, share, tally
from core.compare.blind_summary import BlindResults, PairResult
from core.errors import DataError, RunError
from core.jobs.tasks import create_task, perform, silent
from core.paths import PROJECT, Home
from core.serving.candidates import Candidate
from tests.build_blind import build_comparison, ended_vote

A, B = (Candidate(kind="model", model=name) for name in "AB")


def votes_of(said: Mapping[str, Sequence[Verdict]]) -> list[HumanVote]:
    """What each rater says of question 0, 1, and so on."""
    return [
        HumanVote(rater, 0.0, f"q{number}", (0, 1), (A, B), verdict, "left", 0, "")
        for rater, verdicts in said.items()
        for number, verdict in enumerate(verdicts)
    ]


def result_of(said: Mapping[str, Sequence[Verdict]]) -> BlindResults:
    return results(votes_of(said), ["A", "B"], [(0, 1)])


def pair_of(said: Mapping[str, Sequence[Verdict]]) -> PairResult:
    (pair,) = result_of(said).pairs
    return pair


def counted(first: int, second: int, ties: int = 0, unsafe: int = 0) -> list[Verdict]:
    return ["first"] * first + ["second"] * second + ["tie"] * ties + ["unsafe"] * unsafe


def test_nine_wins_of_ten() -> None:
    found = tally(counted(9, 1))
    assert found.rate is not None and found.p is not None
    assert (found.rate.value, found.rate.of) == (0.9, 10)
    assert (found.rate.low, found.rate.high) == pytest.approx((0.596, 0.982), abs=5e-4)
    assert found.p == pytest.approx(0.0215, abs=5e-5)


def test_the_wilson_interval_of_none_of_ten() -> None:
    found = share(0, 10)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0, 0.2775), abs=5e-5)


def test_ties_count_as_half_a_win_of_each_where_they_count() -> None:
    found = tally(counted(6, 2, ties=4))
    assert found.rate is not None and found.rate_with_ties is not None
    assert (found.rate.value, found.rate.of) == (0.75, 8)
    assert (found.rate_with_ties.value, found.rate_with_ties.of) == (pytest.approx(8 / 12), 12)


def test_both_unsafe_counts_for_nobody_and_has_a_share_of_its_own() -> None:
    found = tally(counted(6, 2, unsafe=2))
    assert found.rate is not None and found.rate_with_ties is not None and found.unsafe_share is not None
    assert found.rate.of == found.rate_with_ties.of == 8
    assert (found.unsafe_share.value, found.unsafe_share.of) == (0.2, 10)
    assert (found.unsafe_share.low, found.unsafe_share.high) == pytest.approx((0.0567, 0.5098), abs=5e-5)


def test_nothing_decided_has_no_rate() -> None:
    found = tally(counted(0, 0, ties=3))
    assert (found.rate, found.p) == (None, None)
    assert found.rate_with_ties is not None and found.rate_with_ties.value == 0.5


def test_no_vote_at_all_is_said_so() -> None:
    found = results([], ["A", "B"], [(0, 1)])
    assert found.raters == () and found.kappas == () and found.all_agree is None
    assert found.pairs[0].sentences == ("Nobody has judged “A” against “B”.",)


def test_more_than_chance_is_only_claimed_when_the_interval_excludes_one_half() -> None:
    clear, unclear = pair_of({"Ada": counted(24, 7)}), pair_of({"Ada": counted(7, 3)})
    assert clear.sentences[0] == (
        "“A” was preferred over “B” in 24 of 31 judgements that preferred one (77%, 95% interval 60% to 89%); "
        "that is more than chance explains."
    )
    assert unclear.sentences[0].endswith("; chance alone could explain that.")


@pytest.mark.parametrize(
    ("first", "second", "p", "claimed"),
    [(4, 0, 0.125, False), (7, 1, 0.0703, False), (12, 4, 0.0768, False), (9, 1, 0.0215, True)],
)
def test_more_than_chance_is_only_claimed_when_the_exact_test_says_so_too(
    first: int, second: int, p: float, claimed: bool
) -> None:
    """Wilson's interval excludes one half in all four."""
    pair = pair_of({"Ada": counted(first, second)})
    assert pair.judgements.rate is not None and pair.judgements.rate.low > 0.5
    assert pair.judgements.p == pytest.approx(p, abs=5e-5)
    assert pair.convincing == pair.turned.convincing == claimed
    assert ("more than chance explains" in pair.sentences[0]) == claimed
    assert ("chance alone could explain that" in pair.sentences[0]) != claimed


def test_questions_of_several_raters_must_pass_the_exact_test_too() -> None:
    pair = pair_of(dict.fromkeys(("Ada", "Bob", "Cyd"), counted(7, 1)))
    assert pair.judgements.beyond_chance == 1 and pair.questions.rate is not None and pair.questions.rate.low > 0.5
    assert not pair.convincing


def test_the_one_that_was_preferred_is_named_first() -> None:
    assert (
        pair_of({"Ada": counted(1, 9)})
        .sentences[0]
        .startswith(
            "“B” was preferred over “A” in 9 of 10 judgements that preferred one (90%, 95% interval 60% to 98%)"
        )
    )


def test_the_other_way_round_says_the_same() -> None:
    pair = pair_of({"Ada": counted(2, 9, ties=1, unsafe=1), "Bob": counted(1, 5)})
    turned = pair.turned
    assert turned.sentences == pair.sentences
    assert (turned.first, turned.judgements.first, turned.convincing) == ("B", 14, pair.convincing)
    assert turned.turned.sentences == pair.sentences


def test_equal_counts_show_no_difference() -> None:
    assert "preferred equally often, in 3 of 6 judgements" in pair_of({"Ada": counted(3, 3)}).sentences[0]


def test_a_rater_who_repeats_another_makes_nothing_surer() -> None:
    """Eight of ten questions prove nothing; that three raters say so of the same questions must not change it."""
    pair = pair_of(dict.fromkeys(("Ada", "Bob", "Cyd"), counted(8, 2)))
    assert pair.judgements.beyond_chance == 1
    assert pair.questions.beyond_chance == 0
    assert not pair.convincing
    assert pair.sentences[0].endswith("but counted by question, chance alone could explain it.")
    assert "not independent" in pair.sentences[2]


def test_one_rater_has_nothing_repeated() -> None:
    pair = pair_of({"Ada": counted(8, 2)})
    assert not pair.repeated
    assert len(pair.sentences) == 2


@pytest.mark.parametrize(
    ("said", "most"),
    [
        (["first"], "first"),
        (["first", "second", "second"], "second"),
        (["first", "second"], "tie"),
        (["unsafe", "unsafe", "first"], "unsafe"),
        (["first", "second", "tie"], "tie"),
        (["unsafe", "first"], "tie"),
    ],
)
def test_a_question_counts_as_most_of_its_raters_said(said: list[Verdict], most: Verdict) -> None:
    assert majority(said) == most


def test_cohens_kappa_of_a_known_table() -> None:
    """Both say first on 20, both second on 15, and they differ on 5 and 10: 0.7 agree, 0.5 by chance, so 0.4."""
    said: dict[str, list[Verdict]] = {
        "Ada": ["first"] * 25 + ["second"] * 25,
        "Bob": ["first"] * 20 + ["second"] * 5 + ["first"] * 10 + ["second"] * 15,
    }
    (kappa,) = result_of(said).kappas
    assert (kappa.first, kappa.second, kappa.pairs, kappa.same) == ("Ada", "Bob", 50, 35)
    assert kappa.value == pytest.approx(0.4)


def test_too_few_ballots_in_common_give_no_kappa() -> None:
    (kappa,) = result_of({"Ada": counted(5, 4), "Bob": counted(4, 5)}).kappas
    assert kappa.value is None


def test_raters_who_never_vary_give_no_kappa() -> None:
    found = result_of(dict.fromkeys(("Ada", "Bob", "Cyd"), counted(12, 0)))
    assert [kappa.value for kappa in found.kappas] == [None] * 3
    assert found.all_agree is not None and found.all_agree.value is None


def test_fleiss_kappa_of_a_known_table() -> None:
    """Of 10 questions three raters agree on 6 and split two to one on 4, each verdict in half of all 30 ballots.

    Agreement is (6 + 4 / 3) / 10, by chance 0.5; so kappa is (0.7333 - 0.5) / 0.5.
    """
    said: dict[str, list[Verdict]] = {
        "Ada": ["first"] * 3 + ["second"] * 3 + ["first", "first", "second", "second"],
        "Bob": ["first"] * 3 + ["second"] * 3 + ["first", "first", "second", "second"],
        "Cyd": ["first"] * 3 + ["second"] * 3 + ["second", "second", "first", "first"],
    }
    found = result_of(said).all_agree
    assert found is not None and (found.raters, found.common) == (("Ada", "Bob", "Cyd"), 10)
    assert found.value == pytest.approx((22 / 30 - 0.5) / 0.5)


def test_fleiss_kappa_is_of_what_all_raters_have_judged() -> None:
    found = result_of({"Ada": counted(8, 7), "Bob": counted(8, 7), "Cyd": counted(8, 4)}).all_agree
    assert found is not None and (found.common, found.value) == (12, pytest.approx(1.0))


def test_a_rater_of_a_single_ballot_takes_the_agreement_of_all_from_nobody() -> None:
    said = dict.fromkeys(("Ada", "Bob", "Cyd"), counted(8, 4))
    alone, joined = result_of(said).all_agree, result_of({**said, "Dan": counted(1, 0)}).all_agree
    assert alone is not None and joined is not None
    assert alone.value == joined.value == pytest.approx(1.0)
    assert alone.sentence.startswith("All 3 raters have judged 12 ballots in common.")
    assert joined.sentence.startswith(
        "Of 4 raters, the 3 who judged at least 10 ballots (Ada, Bob and Cyd) have judged 12 in common."
    )


@pytest.mark.parametrize("many", [0, 2])
def test_the_agreement_of_all_takes_three_raters_with_enough_ballots(many: int) -> None:
    ballots = [counted(8, 4)] * many + [counted(1, 1)] * (3 - many)
    found = result_of(dict(zip(("Ada", "Bob", "Cyd"), ballots, strict=True))).all_agree
    assert found is not None and found.value is None
    assert found.sentence == "Too few raters have judged 10 ballots or more to tell how far all of them agree."


def test_two_raters_have_no_agreement_of_all() -> None:
    assert result_of({"Ada": counted(8, 7), "Bob": counted(8, 7)}).all_agree is None


def test_the_task_counts_what_raters_have_said_and_keeps_it(home: Home) -> None:
    comparison = ended_vote(home, {"Ada": [1, 1, 0, "unsafe"], "Bob": [1, "tie"]})
    task = create_task(home, "blind_results", {"comparison": comparison.id})
    perform(task, home)
    found = BlindResults.model_validate(task.result())
    assert found == kept_results(comparison)
    (pair,) = found.pairs
    assert (pair.first, pair.second) == ("before-training", "after-training")
    judgements = pair.judgements
    assert (judgements.first, judgements.second, judgements.ties, judgements.unsafe) == (1, 3, 1, 1)
    assert found.raters == ("Ada", "Bob")


def test_the_task_refuses_a_vote_that_goes_on(home: Home) -> None:
    with pytest.raises(RunError, match="has not ended"):
        results_task(home, {"comparison": build_comparison(home).id}, silent)


def test_the_task_refuses_a_comparison_that_is_not_there(home: Home) -> None:
    with pytest.raises(DataError, match="no comparison"):
        results_task(home, {"comparison": "compare-gone"}, silent)


def test_nothing_kept_before_the_task_has_run(home: Home) -> None:
    assert kept_results(ended_vote(home, {"Ada": [1]})) is None


def test_showing_results_loads_no_statistics() -> None:
    program = (
        "import sys, core.compare.blind_results, core.compare.blind_export\n"
        "print([name for name in ('scipy', 'sklearn', 'statsmodels') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
