"""What differs between two texts, word by word."""

from __future__ import annotations

import pytest

from core.compare.difference import MOST_WORDS, word_difference

PAIRS = [
    ("Give 5 mg now.", "Give 50 mg now."),
    ("", "New words here."),
    ("Old words here.", ""),
    ("one two three", "three two one"),
    ("a\nb\n\nc", "a b c d"),
    ("  led by spaces", "led by  spaces  "),
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_parts_put_together_are_the_two_texts(first: str, second: str) -> None:
    parts = word_difference(first, second).parts
    assert "".join(f"{part.text} " for part in parts if part.change != "added").split() == first.split()
    assert "".join(part.text for part in parts if part.change != "removed") == second.lstrip()


def test_a_changed_word_is_removed_and_added_in_its_place() -> None:
    parts = word_difference("Give 5 mg now.", "Give 50 mg now.").parts
    assert [(part.text, part.change) for part in parts] == [
        ("Give ", "same"),
        ("5 ", "removed"),
        ("50 ", "added"),
        ("mg now.", "same"),
    ]


def test_a_text_without_spaces_between_words_differs_by_characters() -> None:
    assert [part.text for part in word_difference("给氧", "吸氧").parts] == ["给", "吸", "氧"]


def test_spaces_alone_are_no_difference() -> None:
    found = word_difference("the same\nwords", "the  same words")
    assert found.same and found.shared == 1


def test_words_in_common_are_a_share_of_both_texts() -> None:
    assert word_difference("a b c d", "a b x y").shared == 0.5
    assert word_difference("a", "b").shared == 0
    assert word_difference("", "").shared == 1


def test_of_a_huge_text_only_the_beginning_is_compared_and_that_is_told() -> None:
    huge = "word " * 50_000
    found = word_difference(huge, f"{huge}more")
    assert found.cut and not found.same
    assert sum(len(part.text.split()) for part in found.parts) == MOST_WORDS


def test_a_long_text_with_one_change_shows_only_that() -> None:
    words = [f"word{number % 40}" for number in range(600)]
    changed = [*words[:300], "other", *words[301:]]
    parts = word_difference(" ".join(words), " ".join(changed)).parts
    assert [part.text for part in parts if part.change != "same"] == [f"{words[300]} ", "other "]
