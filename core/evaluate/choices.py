"""Whether an answer names the right one of several options; the rule of the shipped reward `exact_choice`, and more.

A reference answer is a choice where it is the letter of an option and nothing else, where it begins with one that the
question lists, such as "B. Adrenaline", or where it is nothing but "yes", "no" or "maybe". An answer that names several
options hedges, and is wrong.
"""

from __future__ import annotations

import re

_LETTER = re.compile(r"(?<![A-Za-z'’])([A-H])(?![A-Za-z'’])")
"""A capital letter from A to H that is no part of a word."""
_REFERENCE = re.compile(r"\(?([A-H])(?:[).:]+\s*(\S?)|\s*$)")
"""The letter that a reference answer begins with, and whether anything follows: "B", "(B)", "B. Adrenaline"."""
_LISTED = re.compile(r"(?:^|(?<=\s))\(?([A-H])[).:]")
"""An option of a question: "B.", "(B)", "B)" or "B:", at the beginning of a line or after a space."""
_FIRST = re.compile(r"[\s*_(]*([A-H])[*_]*(?:[).:,;]|\s*$|\s+(?:is|because|since|or|and)\b)")
"""The letter an answer begins with: "B", "B.", "(B)", "**B**:" or "B is", and nothing like "A drug"."""
_STATED = re.compile(r"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice)(?:\s+is)?\s*:?[\s*_(]*([A-H])(?![A-Za-z'’])")
"""The letter in "the answer is B", "Option B" or "Answer: (B)"."""
_FURTHER = re.compile(r"^[\s*_]*\(?([A-H])[).:]|\b(?:or|and)[\s*_(]+([A-H])(?![A-Za-z'’])", re.MULTILINE)
"""Another option beside the one that an answer has named: at the beginning of a line, or after "or" or "and"."""
_WORD = re.compile(r"\b(yes|no|maybe)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[.,;:!?\n—–]")


def exact_choice(answer: str, reference: str, question: str) -> float | None:
    """1 where the answer names the option of the reference and no other, else 0; None where the reference is no choice.

    An answer that begins with an option, or says "the answer is B", may use capital letters further on, as in "vitamin
    D"; of "yes", "no" and "maybe" the first clause that has one counts.

    Args:
        question: lists the options, unless the reference is a letter alone.

    >>> asked = "What first? A) Rest B) Adrenaline"
    >>> [exact_choice(said, "B. Adrenaline", asked) for said in ("B, not vitamin D", "The answer is B.", "A or B")]
    [1.0, 1.0, 0.0]
    >>> exact_choice("Yes, without doubt.", "yes", "Is it?"), exact_choice("E. coli", "E. coli cystitis", "What is it?")
    (1.0, None)
    """
    letter = _letter_of(reference.strip(), question)
    if letter:
        return float(_letters(answer) == {letter})
    word = reference.strip().rstrip(".!").lower()
    return float(_words(answer) == {word}) if word in ("yes", "no", "maybe") else None


def _letter_of(reference: str, question: str) -> str:
    """The option that a reference answer names; empty where it names none.

    One with a text of its own must be on the question's list with all that come before it: "E. coli" names no option
    because the question speaks of E. coli as well.
    """
    found = _REFERENCE.match(reference)
    if found is None:
        return ""
    letter, text = found.groups()
    before = {chr(code) for code in range(ord("A"), ord(max(letter, "B")) + 1)}
    return letter if not text or before <= set(_LISTED.findall(question)) else ""


def _letters(answer: str) -> set[str]:
    """The options that an answer names."""
    first = _FIRST.match(answer)
    named = {first.group(1)} if first else set(_STATED.findall(answer))
    if not named:
        return set(_LETTER.findall(answer))
    return named | {one or other for one, other in _FURTHER.findall(answer)}


def _words(answer: str) -> set[str]:
    named = ({word.lower() for word in _WORD.findall(clause)} for clause in _CLAUSE.split(answer))
    return next((found for found in named if found), set())
