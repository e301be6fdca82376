import random
from collections import Counter

import pytest

from core.data.draft import Shares
from core.data.split_names import parse_split
from core.data.splits import assign, split_of

QUESTIONS = [f"What does finding number {number} mean?" for number in range(2000)]
SHARES = Shares(validation=0.1, test=0.2)


def test_a_question_has_its_place_on_every_machine() -> None:
    """Fixed expectations: a change here moves rows of saved data sets from one side to the other."""
    shares = Shares(validation=0.3, test=0.3)
    questions = ("What is sepsis?", "Why is the sky blue?", "How is gout treated?", "什么是败血症？", "")
    places = ["train", "test", "test", "validation", "validation"]
    assert [split_of(question, shares) for question in questions] == places


def test_the_shares_are_kept_roughly() -> None:
    counts = Counter(split_of(question, SHARES) for question in QUESTIONS)
    assert 340 < counts["test"] < 460
    assert 150 < counts["validation"] < 250


def test_spelling_case_and_punctuation_do_not_move_a_question() -> None:
    for question in QUESTIONS[:50]:
        assert split_of(question, SHARES) == split_of(f"  {question.upper()[:-1]} ?!", SHARES)


def test_moving_one_share_leaves_the_other_as_it_is() -> None:
    more = Shares(validation=0.1, test=0.4)
    before = [split_of(question, SHARES) for question in QUESTIONS]
    after = [split_of(question, more) for question in QUESTIONS]
    assert [split == "validation" for split in before] == [split == "validation" for split in after]
    assert all(new == "test" for old, new in zip(before, after, strict=True) if old == "test")


def test_without_shares_everything_is_for_training() -> None:
    assert {split_of(question, Shares(validation=0, test=0)) for question in QUESTIONS} == {"train"}


def test_neither_order_nor_further_rows_move_a_question() -> None:
    shuffled = random.Random(0).sample(QUESTIONS, len(QUESTIONS))
    placed = dict(zip(shuffled, assign(shuffled, SHARES, []), strict=True))
    assert assign(QUESTIONS[:100], SHARES, []) == [placed[question] for question in QUESTIONS[:100]]


def test_near_duplicates_go_where_the_smallest_of_them_goes() -> None:
    groups = [list(range(start, start + 4)) for start in range(0, 400, 4)]
    splits = assign(QUESTIONS, SHARES, groups)
    assert len(set(splits[:400])) == 3, "the groups are spread over all splits"
    for group in groups:
        smallest = min(QUESTIONS[index] for index in group)
        assert {splits[index] for index in group} == {split_of(smallest, SHARES)}
    assert splits[400:] == assign(QUESTIONS[400:], SHARES, [])


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("Train", "train"),
        ("training ", "train"),
        ("val", "validation"),
        ("dev", "validation"),
        ("VALIDATION", "validation"),
        ("test", "test"),
        ("held_out", "test"),
        ("测试集", "test"),
        ("fold 1", None),
        ("", None),
        (None, None),
    ],
)
def test_spellings_of_the_splits_are_understood(text: str | None, split: str | None) -> None:
    assert parse_split(text) == split
