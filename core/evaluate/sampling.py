"""Chooses the questions of an evaluation, each type in proportion, and says which column may name the type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from core.compare.comparison import Question
from core.content_hash import content_hash

USUAL_NAMES = ("type", "question_type", "category", "kind", "topic", "subject", "specialty", "task")
"""What a column of types is mostly called; these come first."""

_MOST_TYPES = 30
_LONGEST_TYPE = 60
"""Characters of the name of a type; what is longer is a text."""


def type_columns(questions: Sequence[Question]) -> list[str]:
    """The columns that sort questions into a few types, those with a usual name first, then by name.

    Such a column has 2 to 30 different short values, names the type of at least half of the questions, and has two
    questions of a type on average, so that ids and numbers of rows are none.
    """
    names = {name for question in questions for name in question.columns}
    return sorted((name for name in names if _sorts(questions, name)), key=lambda name: (_rank(name), name))


def type_of(question: Question, column: str) -> str:
    """The type of a question as its column names it; empty where it names none, or where `column` is empty."""
    return question.columns.get(column, "").strip()


def choose_questions(questions: Sequence[Question], count: int, type_column: str = "", seed: int = 0) -> list[Question]:
    """At most `count` of the questions, of each type as large a part as of all, in the order in which they came.

    Which ones they are depends on the seed and on each question's id and text alone, not on the order or on the others
    of its type. So a larger sample goes on where a smaller one ended, and holds all of it but for the rounding.

    Args:
        type_column: the column that names types; empty chooses from all alike.
    """
    if count >= len(questions):
        return list(questions)
    places: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        places.setdefault(type_of(question, type_column), []).append(place)
    parts = _shares({type_: len(of_type) for type_, of_type in places.items()}, max(count, 0))
    chosen = {
        place
        for type_, of_type in places.items()
        for place in sorted(of_type, key=lambda place: _lot(questions[place], seed))[: parts[type_]]
    }
    return [questions[place] for place in sorted(chosen)]


def _shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    """`count` divided in proportion to sizes, what rounding leaves over to the largest remainders.

    >>> _shares({"a": 60, "b": 30, "c": 10}, 11)
    {'a': 7, 'b': 3, 'c': 1}
    """
    total = sum(sizes.values())
    exact = {type_: Fraction(size * count, total) for type_, size in sizes.items()}
    shares = {type_: int(share) for type_, share in exact.items()}
    by_remainder = sorted(exact, key=lambda type_: (shares[type_] - exact[type_], type_))
    for type_ in by_remainder[: count - sum(shares.values())]:
        shares[type_] += 1
    return shares


def _lot(question: Question, seed: int) -> bytes:
    return content_hash([str(seed), question.id, question.text], "sample")


def _sorts(questions: Sequence[Question], column: str) -> bool:
    types = Counter(type_ for question in questions if (type_ := type_of(question, column)))
    return (
        2 <= len(types) <= _MOST_TYPES
        and 2 * types.total() >= len(questions)
        and 2 * len(types) <= types.total()
        and max(map(len, types)) <= _LONGEST_TYPE
    )


def _rank(name: str) -> int:
    plain = name.strip().casefold().replace(" ", "_").replace("-", "_")
    return USUAL_NAMES.index(plain) if plain in USUAL_NAMES else len(USUAL_NAMES)
