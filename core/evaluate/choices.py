"""Whether an answer names the right one of several options; the rule of the shipped reward `exact_choice`, and more.

A reference answer is a choice where it begins with the letter of an option, such as "B" or "B. Adrenaline", or is
nothing but "yes", "no" or "maybe". An answer that names several options hedges, and is wrong.
"""

from __future__ import annotations

import re

_LETTER = re.compile(r"(?<![A-Za-z'’])([A-H])(?![A-Za-z'’])")
"""A capital letter from A to H that is no part of a word."""
_OPTION = re.compile(r"\(?(?<![A-Za-z'’])([A-H])[).:]")
"""A letter in the form of an option: "B.", "(B)", "B)" or "B:"."""
_FIRST = re.compile(r"\(?([A-H])(?:[).:]|\s*$)")
"""The letter a text begins with: "B", "B.", "(B)" or "B:", and nothing like "A drug"."""
_WORD = re.compile(r"\b(yes|no|maybe)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[.,;:!?\n—–]")


def exact_choice(answer: str, reference: str) -> float | None:
    """1 where the answer names the option of the reference and no other, else 0; None where the reference is no choice.

    An answer that begins with an option's letter may use capital letters further on, as in "vitamin D"; of "yes", "no"
    and "maybe" the first clause that has one counts.

    >>> [exact_choice(answer, "B. Adrenaline") for answer in ("The answer is B.", "B: not vitamin D", "A or B", "Rest")]
    [1.0, 1.0, 0.0, 0.0]
    >>> exact_choice("Yes, there is no doubt.", "yes"), exact_choice("Give adrenaline.", "Adrenaline into the thigh")
    (1.0, None)
    """
    letter = _FIRST.match(reference.strip())
    if letter is not None:
        return float(_letters(answer.strip()) == {letter.group(1)})
    word = reference.strip().rstrip(".!").lower()
    return float(_words(answer) == {word}) if word in ("yes", "no", "maybe") else None


def _letters(answer: str) -> set[str]:
    first = _FIRST.match(answer)
    return {first.group(1), *_OPTION.findall(answer)} if first else set(_LETTER.findall(answer))


def _words(answer: str) -> set[str]:
    named = ({word.lower() for word in _WORD.findall(clause)} for clause in _CLAUSE.split(answer))
    return next((found for found in named if found), set())
