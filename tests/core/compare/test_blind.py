"""The blind vote: what is asked, of whom, on which side; what counts; what is told when."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.compare.blind import (
    all_pairs,
    ballots,
    cast,
    end_vote,
    everybody,
    human_votes,
    next_ballot,
    open_vote,
    progress,
    undo,
)
from core.compare.blind_ballots import Shown, matters_of, shown, shown_alike
from core.compare.blind_votes import LeftOut, ended_at, folder_of
from core.compare.boards import keep_board
from core.compare.comparison import ComparedAnswer, Comparison, find_comparison
from core.config import Tags
from core.errors import ConfigError, RunError
from core.lab.boards import load_board
from core.lab.votes import votes, votes_on
from core.paths import Home
from tests.build_blind import build_comparison, ended_vote, preferring, tagged, vote_for

PAIR = [(0, 1)]


def opened(home: Home, questions: int = 4, candidates: int = 2) -> Comparison:
    comparison = build_comparison(home, questions, candidates)
    open_vote(comparison, all_pairs(comparison))
    return comparison


def test_only_questions_with_two_different_whole_answers_are_asked(home: Home) -> None:
    comparison = build_comparison(
        home,
        questions=5,
        replaced={
            (1, 0): None,
            (2, 1): ComparedAnswer(question=2, candidate=1, text="Half an", error="The model was stopped."),
            (3, 0): ComparedAnswer(question=3, candidate=0, text=tagged("the  same")),
            (3, 1): ComparedAnswer(question=3, candidate=1, text=tagged("the same") + "\n"),
        },
    )
    matters, left_out = matters_of(comparison, PAIR)
    assert [matter.question for matter in matters] == ["q0", "q4"]
    assert left_out == LeftOut(missing=1, failed=1, alike=1)


def test_answers_that_differ_only_in_tags_are_alike_for_a_rater(home: Home) -> None:
    bare = ComparedAnswer(question=0, candidate=1, text="answer 0")
    closed = ComparedAnswer(question=0, candidate=0, text="<answer>answer 0")
    comparison = build_comparison(home, 1, replaced={(0, 0): closed, (0, 1): bare})
    assert matters_of(comparison, PAIR)[1].alike == 1


def test_an_answer_is_shown_without_its_tags() -> None:
    assert shown(tagged("flu"), Tags()) == Shown("Because of flu.", "flu")


def test_an_answer_that_cannot_be_taken_apart_is_shown_as_written_without_its_tags() -> None:
    assert shown("<reasoning>Fever,\nso\n<answer>flu</answer> !", Tags()) == Shown(None, "Fever,\nso\n flu  !")


def test_an_answer_without_the_form_is_not_told_from_the_one_beside_it_by_its_headings() -> None:
    formed, loose = "<reasoning>Fever.</reasoning><answer>Flu.</answer>", "It is the flu."
    left, right = shown_alike(formed, loose, Tags())
    assert (left.reasoning, right.reasoning) == (None, None)
    assert left.words == ("Fever.", "Flu.")


def test_two_answers_in_the_form_are_taken_apart() -> None:
    formed = "<reasoning>Fever.</reasoning><answer>Flu.</answer>"
    assert shown_alike(formed, formed, Tags())[0].reasoning == "Fever."


def test_every_rater_is_asked_everything_in_an_order_of_their_own(home: Home) -> None:
    comparison = opened(home, questions=12)
    ada, bob = (ballots(comparison, rater) for rater in ("Ada", "Bob"))
    assert {ballot.matter.question for ballot in ada} == {f"q{number}" for number in range(12)}
    assert {ballot.matter for ballot in ada} == {ballot.matter for ballot in bob}
    assert [ballot.matter for ballot in ada] != [ballot.matter for ballot in bob]


def test_sides_are_shuffled_for_each_rater_and_question(home: Home) -> None:
    comparison = opened(home, questions=60)
    sides = {rater: {b.matter.key: b.left_candidate for b in ballots(comparison, rater)} for rater in ("Ada", "Bob")}
    for of_one in sides.values():
        assert 10 <= Counter(of_one.values())[0] <= 50
    assert sides["Ada"] != sides["Bob"]


def test_a_reload_shows_the_same_sides_and_order(home: Home) -> None:
    comparison = opened(home, questions=12)
    assert ballots(find_comparison(home, comparison.id), " ada") == ballots(comparison, "Ada")


def test_the_answers_stand_on_the_side_of_their_candidate(home: Home) -> None:
    for ballot in ballots(opened(home, questions=12), "Ada"):
        assert ballot.left.answer == f"answer {ballot.matter.question[1:]} of {ballot.left_candidate}"
        assert ballot.right.answer == f"answer {ballot.matter.question[1:]} of {1 - ballot.left_candidate}"


def test_three_candidates_are_voted_on_pair_by_pair(home: Home) -> None:
    comparison = opened(home, questions=2, candidates=3)
    pairs = Counter(ballot.matter.pair for ballot in ballots(comparison, "Ada"))
    assert pairs == {(0, 1): 2, (0, 2): 2, (1, 2): 2}


def test_a_vote_on_one_pair_of_three_asks_only_that(home: Home) -> None:
    comparison = build_comparison(home, 2, 3)
    open_vote(comparison, [(2, 0)])
    assert {ballot.matter.pair for ballot in ballots(comparison, "Ada")} == {(0, 2)}


@pytest.mark.parametrize("pairs", [[], [(0, 0)], [(0, 2)], [(-1, 0)]])
def test_pairs_that_are_not_of_the_comparison_are_refused(home: Home, pairs: list[tuple[int, int]]) -> None:
    with pytest.raises(ConfigError, match="Choose at least one pair"):
        open_vote(build_comparison(home), pairs)


def test_a_vote_on_nothing_is_refused(home: Home) -> None:
    comparison = build_comparison(home, 1, replaced={(0, 0): None})
    with pytest.raises(ConfigError, match="nothing to vote on"):
        open_vote(comparison, PAIR)


def test_a_vote_is_opened_once(home: Home) -> None:
    comparison = opened(home)
    with pytest.raises(RunError, match="already"):
        open_vote(comparison, PAIR)


def test_what_is_asked_stays_when_answers_come_later(home: Home) -> None:
    comparison = build_comparison(home, 2, replaced={(1, 1): None})
    open_vote(comparison, PAIR)
    before = ballots(comparison, "Ada")
    comparison.add(
        [
            ComparedAnswer(question=1, candidate=1, text=tagged("late")),
            ComparedAnswer(question=0, candidate=1, text=tagged("changed")),
        ]
    )
    assert ballots(comparison, "Ada") == before


def test_a_rater_goes_on_where_they_stopped(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [0, "tie"])
    found = next_ballot(find_comparison(home, comparison.id), "ADA")
    assert found is not None
    assert found.place == 2
    assert progress(comparison, "Ada").judged == 2
    assert progress(comparison, "Bob").judged == 0


def test_there_is_no_ballot_after_the_last(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [0, 1, "tie", "unsafe"])
    assert next_ballot(comparison, "Ada") is None
    assert [(one.rater, one.judged, one.total) for one in everybody(comparison)] == [("Ada", 4, 4)]


def test_an_undone_ballot_is_asked_again_with_the_same_sides(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [0])
    second = next_ballot(comparison, "Ada")
    vote_for(home, comparison, "Ada", [1])
    assert undo(home, comparison, "Ada")
    assert next_ballot(comparison, "Ada") == second


def test_undo_goes_back_ballot_by_ballot_to_the_first(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [0, 1])
    vote_for(home, comparison, "Bob", [0])
    assert [undo(home, comparison, "Ada") for _ in range(3)] == [True, True, False]
    assert [(one.rater, one.judged) for one in everybody(comparison)] == [("Bob", 1)]


def test_every_vote_and_every_undo_stays_in_the_file(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [0])
    undo(home, comparison, "Ada")
    vote_for(home, comparison, "Ada", ["tie"])
    (file,) = folder_of(comparison).glob("ada-*.jsonl")
    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(record["choice"] == "tie", record["undone"]) for record in written] == [
        (False, False),
        (False, True),
        (True, False),
    ]


def test_the_latest_of_two_ballots_on_one_question_counts(home: Home) -> None:
    comparison = opened(home, questions=1)
    ballot = next_ballot(comparison, "Ada")
    assert ballot is not None
    cast(home, comparison, "Ada", ballot, "left", "first thought")
    cast(home, comparison, "ada", ballot, "unsafe", "second thought")
    end_vote(home, comparison)
    assert [(vote.rater, vote.verdict, vote.reason) for vote in human_votes(comparison)] == [
        ("Ada", "unsafe", "second thought")
    ]


def test_a_torn_or_foreign_line_costs_no_other_vote(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [0])
    (file,) = folder_of(comparison).glob("ada-*.jsonl")
    with file.open("a") as lines:
        lines.write('{"choice": "left"}\n[1]\n{"time": 1')
    vote_for(home, comparison, "Ada", [1])
    assert progress(comparison, "Ada").judged == 2


def test_raters_who_vote_at_once_lose_nothing(home: Home) -> None:
    comparison = opened(home, questions=8)

    def vote(rater: str) -> None:
        vote_for(home, comparison, rater, [0] * 8)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(vote, ("Ada", "Bob", "Cyd", "Dee")))
    assert [one.judged for one in everybody(comparison)] == [8, 8, 8, 8]


def test_a_choice_of_a_side_counts_for_who_stood_there(home: Home) -> None:
    comparison = opened(home, questions=12)
    vote_for(home, comparison, "Ada", ["left"] * 12)
    end_vote(home, comparison)
    for vote in human_votes(comparison):
        assert vote.winner == comparison.request().candidates[vote.left]
        assert vote.verdict == ("first" if vote.left == 0 else "second")


def test_ties_and_unsafe_have_no_winner(home: Home) -> None:
    comparison = ended_vote(home, {"Ada": ["tie", "unsafe"]})
    assert [(vote.verdict, vote.winner) for vote in human_votes(comparison)] == [("tie", None), ("unsafe", None)]


def test_nothing_is_told_before_the_end(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [0])
    with pytest.raises(RunError, match="has not ended"):
        human_votes(comparison)


def test_an_ended_vote_takes_no_ballot_and_no_undo(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [0])
    ballot = next_ballot(comparison, "Ada")
    assert ballot is not None
    end_vote(home, comparison)
    with pytest.raises(RunError, match="has ended"):
        cast(home, comparison, "Ada", ballot, "left")
    with pytest.raises(RunError, match="has ended"):
        undo(home, comparison, "Ada")
    assert len(human_votes(comparison)) == 1


def test_ending_twice_keeps_the_first_end(home: Home) -> None:
    comparison = ended_vote(home, {"Ada": [0]})
    first = ended_at(comparison)
    end_vote(home, comparison)
    assert ended_at(comparison) == first


def test_a_vote_that_was_never_opened_cannot_end(home: Home) -> None:
    with pytest.raises(RunError, match="has been opened"):
        end_vote(home, build_comparison(home))


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\x00b"])
def test_a_name_that_cannot_be_used_is_refused(home: Home, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        next_ballot(opened(home), name)


def test_a_name_never_leads_out_of_the_folder(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "../../=cmd|'/c calc'!A1", [0])
    assert len(list(folder_of(comparison).glob("*.jsonl"))) == 1


def test_a_reason_of_any_text_is_kept_as_it_is(home: Home) -> None:
    comparison, hostile = opened(home), "<img src=x>\n=1+1 \u202e ![x](http://evil)"
    ballot = next_ballot(comparison, "Ada")
    assert ballot is not None
    cast(home, comparison, "Ada", ballot, "left", hostile)
    end_vote(home, comparison)
    assert human_votes(comparison)[0].reason == hostile


def test_a_reason_that_is_too_long_is_refused_and_nothing_counts(home: Home) -> None:
    comparison = opened(home)
    ballot = next_ballot(comparison, "Ada")
    assert ballot is not None
    with pytest.raises(ConfigError, match="2,001 characters"):
        cast(home, comparison, "Ada", ballot, "left", "x" * 2001)
    assert progress(comparison, "Ada").judged == 0


def test_votes_reach_the_lab_where_the_answers_stand_on_a_board(home: Home) -> None:
    comparison = opened(home, questions=3)
    keep_board(home, comparison)
    vote_for(home, comparison, "Ada", [1, "tie", "unsafe"])
    board = load_board(home, comparison.board())
    placed = votes_on(board, votes(home))
    assert len(placed) == 2
    won = next(one for one in placed if not one.vote.tie)
    assert "of 1" in board.samples[won.winner].completion
    assert "of 0" in board.samples[won.loser].completion


def test_an_undone_vote_leaves_the_lab_too(home: Home) -> None:
    comparison = opened(home)
    keep_board(home, comparison)
    vote_for(home, comparison, "Ada", [1, 0])
    undo(home, comparison, "Ada")
    assert len(votes(home)) == 1


def test_a_vote_turned_into_both_unsafe_leaves_the_lab(home: Home) -> None:
    comparison = opened(home)
    keep_board(home, comparison)
    ballot = next_ballot(comparison, "Ada")
    assert ballot is not None
    cast(home, comparison, "Ada", ballot, preferring(0, ballot.left_candidate))
    cast(home, comparison, "Ada", ballot, "unsafe")
    assert votes(home) == []


def test_without_a_board_the_lab_hears_nothing_until_the_end(home: Home) -> None:
    comparison = opened(home)
    vote_for(home, comparison, "Ada", [1, 0])
    assert votes(home) == []
    keep_board(home, comparison)
    end_vote(home, comparison)
    assert len(votes_on(load_board(home, comparison.board()), votes(home))) == 2
