"""Exact choice: for multiple-choice questions, whether the answer names the right option.

The reference answer begins with the letter of the right option, such as "B" or "B. Adrenaline". The answer scores 1
when the one letter it names is that of the reference, 0 when it is another, and 0 when it names none or more than one,
since hedging is not an answer. Where the reference names no option there is nothing to compare, and the score is None:
no opinion. The word "A" at the start of a sentence is read as an option, so tell the model to answer with a letter.

Worked example: the reference is "B. Adrenaline". "The answer is B." scores 1, "C" scores 0, "A or B" scores 0.

>>> answers = ["The answer is B.", "(C)", "A or B", "Give a drug."]
>>> reward(model_answer=answers, reference=["B. Adrenaline"] * 4)
[1.0, 0.0, 0.0, 0.0]
>>> reward(model_answer=["B"], reference=["Adrenaline into the thigh"])
[None]
"""

import re

LETTER = re.compile(r"(?<![A-Za-z'’])([A-H])(?![A-Za-z'’])")
"""A capital letter from A to H that is no part of a word."""
FIRST = re.compile(r"\(?([A-H])(?:[).:]|\s*$)")
"""The letter a reference answer begins with: "B", "B.", "(B)" or "B:", and nothing like "A drug"."""


def reward(model_answer, reference, **kwargs):
    """1, 0 or None for each completion."""
    return [score(answer, right) for answer, right in zip(model_answer, reference, strict=True)]


def score(answer, right):
    """The score of one answer against the reference answer."""
    expected = FIRST.match(right.strip())
    if expected is None:
        return None
    named = set(LETTER.findall(answer))
    return 1.0 if named == {expected.group(1)} else 0.0
