"""Votes are kept, one file a rater, and the next pairs are asked for without looking at a score."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from filelock import FileLock

from core.access.audit import log_file
from core.errors import ConfigError, StorageError
from core.lab import vote_files
from core.lab.vote_files import Vote
from core.lab.votes import (
    pairs_to_judge,
    raters,
    record_ranking,
    record_vote,
    rows_to_rank,
    votes,
    votes_mark,
    votes_on,
    withdraw_vote,
)
from core.paths import PROJECT, Home
from tests.build_votes import scored_board

KEYS = [f"{number:016x}" for number in range(8)]
BOARD = scored_board(groups=9, size=4)


def vote(winner: int, loser: int, rater: str = "Ada", tie: bool = False, board: str = "b") -> Vote:
    return Vote(rater, 1.5, board, "group 0", KEYS[winner], KEYS[loser], tie)


def only_file(home: Home) -> Path:
    (file,) = (home.lab / "votes").glob("*.jsonl")
    return file


def test_a_vote_comes_back_as_it_was_given(home: Home) -> None:
    for given in (vote(0, 1), vote(3, 2, tie=True)):
        record_vote(home, given)
    assert votes(home) == [vote(0, 1), vote(3, 2, tie=True)]


def test_a_later_judgement_of_the_same_two_replaces_the_earlier_one_of_that_rater_only(home: Home) -> None:
    for given in (vote(0, 1), vote(0, 1, rater="Bo"), vote(1, 0)):
        record_vote(home, given)
    assert sorted(votes(home), key=lambda v: v.rater) == [vote(1, 0), vote(0, 1, rater="Bo")]
    assert len(only_file_lines(home, "ada")) == 2  # nothing is ever taken out of a file


def test_a_vote_that_is_taken_back_is_as_if_it_had_never_been_given(home: Home) -> None:
    for given in (vote(0, 1), vote(2, 3), vote(0, 1, rater="Bo")):
        record_vote(home, given)
    withdraw_vote(home, vote(1, 0))
    assert sorted(votes(home), key=lambda v: v.rater) == [vote(2, 3), vote(0, 1, rater="Bo")]
    assert len(only_file_lines(home, "ada")) == 3  # that, too, is a record


def test_a_vote_after_one_that_was_taken_back_counts(home: Home) -> None:
    record_vote(home, vote(0, 1))
    withdraw_vote(home, vote(0, 1))
    record_vote(home, vote(1, 0))
    assert votes(home) == [vote(1, 0)]


def only_file_lines(home: Home, start: str) -> list[str]:
    (file,) = (home.lab / "votes").glob(f"{start}-*.jsonl")
    return file.read_text(encoding="utf-8").splitlines()


def test_a_ranking_is_one_record_and_every_pair_of_it(home: Home) -> None:
    record_ranking(home, "Ada", "b", "g", [KEYS[3], [KEYS[1], KEYS[2]], KEYS[0]])
    assert len(only_file_lines(home, "ada")) == 1
    found = {(v.winner, v.loser, v.tie) for v in votes(home)}
    decided = {(KEYS[a], KEYS[b], False) for a, b in ((3, 1), (3, 2), (3, 0), (1, 0), (2, 0))}
    assert found == decided | {(KEYS[1], KEYS[2], True)}


def test_votes_are_found_by_rater(home: Home) -> None:
    for given in (vote(0, 1), vote(2, 3, board="c"), vote(0, 1, rater="Bo")):
        record_vote(home, given)
    assert votes(home, rater="Ada") == [vote(0, 1), vote(2, 3, board="c")]
    assert votes(home, rater="Bo") == [vote(0, 1, rater="Bo")]
    assert votes(home, rater="Nobody") == []
    assert raters(home) == ["Ada", "Bo"]


def test_votes_on_a_board_are_those_on_its_completions_wherever_they_were_judged() -> None:
    def said(winner: int, loser: int, group: str = "group 0") -> Vote:
        return Vote("Ada", 1.0, "another id", group, BOARD.keys[winner], BOARD.keys[loser])

    gone = Vote("Ada", 1.0, "b", "group 0", BOARD.keys[0], "f" * 16)
    two_groups = said(0, 5)
    placed = votes_on(BOARD, [said(2, 1), gone, two_groups, said(5, 4, "a group of another name")])
    assert [(p.winner, p.loser) for p in placed] == [(2, 1), (5, 4)]


def test_a_completion_that_stands_in_two_groups_is_found_in_that_of_the_vote() -> None:
    twice = tuple(replace(s, completion=f"text {row % 4}", question="Q?") for row, s in enumerate(BOARD.samples))
    board = replace(BOARD, samples=twice)
    given = Vote("Ada", 1.0, "b", "group 2", board.keys[3], board.keys[0])
    assert [(p.winner, p.loser) for p in votes_on(board, [given])] == [(11, 8)]


def test_the_mark_of_votes_changes_with_what_they_say_and_not_with_their_order() -> None:
    mark = votes_mark([vote(0, 1), vote(2, 3)])
    assert mark == votes_mark([vote(2, 3), vote(0, 1)])
    others = (
        [vote(1, 0), vote(2, 3)],
        [vote(0, 1)],
        [vote(0, 1, tie=True), vote(2, 3)],
        [vote(0, 1), vote(2, 3, "Bo")],
    )
    assert mark not in map(votes_mark, others)


def test_capital_letters_and_space_do_not_make_another_rater(home: Home) -> None:
    record_vote(home, vote(0, 1, rater="Dr. Ada"))
    record_vote(home, vote(1, 0, rater="  dr.   ADA "))
    assert raters(home) == ["Dr. Ada"]
    assert [(v.rater, v.winner) for v in votes(home, rater="dr. ada")] == [("Dr. Ada", KEYS[1])]


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "..", "a/b\\c", "Ärztin Ünal", "陈医生", "د. سارة", "CON", "*"]
)
def test_whatever_a_rater_is_called_the_file_lies_in_the_votes_folder(name: str, home: Home) -> None:
    record_vote(home, vote(0, 1, rater=name))
    assert raters(home) == [name]
    assert only_file(home).name.isascii()
    assert set(home.root.parent.rglob("*.jsonl")) == {only_file(home), log_file(home)}


def test_names_that_look_alike_as_file_names_have_files_of_their_own(home: Home) -> None:
    for name in ("a b", "a-b", "a/b"):
        record_vote(home, vote(0, 1, rater=name))
    assert len(votes(home)) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "empty"), (" \n ", "empty"), ("x" * 81, "81 characters"), ("a\x00b", "cannot be seen"), ("\u202eb", "seen")],
)
def test_a_name_that_cannot_be_used_is_refused_in_plain_words(name: str, message: str, home: Home) -> None:
    with pytest.raises(ConfigError, match=message):
        record_vote(home, vote(0, 1, rater=name))
    with pytest.raises(ConfigError, match=message):
        pairs_to_judge(BOARD, home, name, 3)
    assert not (home.lab / "votes").exists()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([KEYS[0], KEYS[0]], "twice"),
        ([KEYS[0], [KEYS[1], KEYS[0]]], "twice"),
        ([KEYS[0]], "two different"),
        ([], "two different"),
        ([KEYS[0], "not a key"], "not a key"),
    ],
)
def test_a_ranking_that_is_none_is_refused(keys: list[str | list[str]], message: str, home: Home) -> None:
    with pytest.raises(ConfigError, match=message):
        record_ranking(home, "Ada", "b", "g", keys)
    assert votes(home) == []


def test_half_a_line_is_passed_over_and_ended_by_the_next_vote(home: Home) -> None:
    record_vote(home, vote(0, 1))
    whole = only_file(home).read_bytes()
    only_file(home).write_bytes(whole + whole[: len(whole) // 2])
    assert votes(home) == [vote(0, 1)]
    record_vote(home, vote(2, 3))
    assert votes(home) == [vote(0, 1), vote(2, 3)]


def test_lines_that_are_no_judgements_cost_nothing_else(home: Home) -> None:
    record_vote(home, vote(0, 1))
    with only_file(home).open("ab") as file:
        file.write(b'[]\n{"time": 1}\n\xff\xfe\nnull\n')
    record_vote(home, vote(2, 3))
    assert votes(home) == [vote(0, 1), vote(2, 3)]


WRITER = """
import sys
from pathlib import Path
from core.lab.vote_files import Vote
from core.lab.votes import record_vote
from core.paths import Home
for number in range(60):
    keys = [f"{int(sys.argv[2]) + 2 * number + side:016x}" for side in (0, 1)]
    record_vote(Home(Path(sys.argv[1])), Vote("Ada", float(number), "b", "g", *keys))
"""


def test_two_processes_that_write_for_one_rater_lose_nothing_and_another_process_reads_it(home: Home) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(home.root), start], cwd=PROJECT) for start in ("0", "1000")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    expected = {f"{start + 2 * number:016x}" for start in (0, 1000) for number in range(60)}
    assert {v.winner for v in votes(home)} == expected


def test_groups_take_turns_and_no_pair_comes_twice(home: Home) -> None:
    asked = pairs_to_judge(BOARD, home, "Ada", 27)
    assert len({frozenset((p.left, p.right)) for p in asked}) == 27
    common, own = Counter(p.group for p in asked[:9]), Counter(p.group for p in asked[9:])
    assert set(common.values()) == {1}
    assert len(own) == 9
    assert all(BOARD.samples[row].group == p.group for p in asked for row in (p.left, p.right))
    assert all((p.left_key, p.right_key) == (BOARD.keys[p.left], BOARD.keys[p.right]) for p in asked)


def test_every_pair_is_asked_in_the_end_and_none_twice(home: Home) -> None:
    seen = []
    while asked := pairs_to_judge(BOARD, home, "Ada", 10):
        seen += [frozenset((p.left, p.right)) for p in asked]
        for pair in asked:
            record_vote(home, pair.vote("Ada", "b", "tie"))
    assert len(seen) == len(set(seen)) == 9 * 6


def test_the_first_third_is_the_same_for_every_rater_and_the_rest_is_not(home: Home) -> None:
    one, two = (
        [frozenset((p.left, p.right)) for p in pairs_to_judge(BOARD, home, rater, 18)] for rater in ("Ada", "Bo")
    )
    assert one[:6] == two[:6]
    assert set(one[6:]) != set(two[6:])
    assert [p.common for p in pairs_to_judge(BOARD, home, "Ada", 18)] == [True] * 6 + [False] * 12


def test_the_same_question_gives_the_same_pairs_and_another_seed_gives_others(home: Home) -> None:
    assert pairs_to_judge(BOARD, home, "Ada", 12, seed=3) == pairs_to_judge(BOARD, home, "Ada", 12, seed=3)
    assert pairs_to_judge(BOARD, home, "Ada", 12, seed=3) != pairs_to_judge(BOARD, home, "Ada", 12, seed=4)


def test_sides_are_shuffled(home: Home) -> None:
    left_first = [p.left < p.right for p in pairs_to_judge(BOARD, home, "Ada", 54)]
    assert 10 < sum(left_first) < 44


def test_what_is_asked_does_not_depend_on_scores(home: Home) -> None:
    other = replace(BOARD, measures={name: -scores for name, scores in BOARD.measures.items()}, grades=-BOARD.grades)
    assert pairs_to_judge(BOARD, home, "Ada", 20) == pairs_to_judge(other, home, "Ada", 20)
    assert rows_to_rank(BOARD, "group 1", "Ada") == rows_to_rank(other, "group 1", "Ada")


def test_equal_texts_are_never_paired(home: Home) -> None:
    texts = ["same", " same\n", "other", "same"]
    samples = tuple(replace(s, completion=texts[row % 4]) for row, s in enumerate(BOARD.samples))
    board = replace(BOARD, samples=samples)
    asked = pairs_to_judge(board, home, "Ada", 100)
    assert len(asked) == 9
    assert all({samples[p.left].completion, samples[p.right].completion} == {"same", "other"} for p in asked)
    assert sorted(rows_to_rank(board, "group 0", "Ada")) == [0, 2]


def test_groups_of_one_and_empty_boards_ask_nothing(home: Home) -> None:
    single = scored_board(groups=3, size=1)
    assert pairs_to_judge(single, home, "Ada", 5) == ()
    assert pairs_to_judge(BOARD, home, "Ada", 0) == ()
    assert rows_to_rank(BOARD, "no such group", "Ada") == ()


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8])
def test_a_group_is_asked_in_all_its_pairs(size: int, home: Home) -> None:
    asked = pairs_to_judge(scored_board(groups=1, size=size), home, "Ada", 1000)
    assert {frozenset((p.left, p.right)) for p in asked} == {frozenset(p) for p in combinations(range(size), 2)}


def test_a_huge_group_is_not_taken_apart_for_a_few_pairs(home: Home) -> None:
    assert len(pairs_to_judge(scored_board(groups=1, size=20_000), home, "Ada", 30)) == 30


def test_a_vote_that_waits_too_long_for_another_one_is_a_plain_error(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_vote(home, vote(0, 1))
    monkeypatch.setattr(vote_files, "_LOCK_SECONDS", 0)
    with FileLock(only_file(home).with_suffix(".lock")), pytest.raises(StorageError, match="was not kept"):
        record_vote(home, vote(1, 2))
    assert len(votes(home)) == 1
