"""Exact choice: for multiple-choice questions, whether the answer names the right option.

The reference answer begins with the letter of the right option, such as "B" or "B. Adrenaline". The answer scores 1
when the one letter it names is that of the reference, 0 when it is another, and 0 when it names none or more than one,
since hedging is not an answer. Where the reference names no option there is nothing to compare, and the score is None:
no opinion. The word "A" at the start of a sentence is read as an option, so tell the model to answer with a letter.

Worked example: the reference is "B. Adrenaline". "The answer is B." scores 1, "C" scores 0, "A or B" scores 0.

>>> answers = ["The answer is B.", "(C)", "A or B", "Give a drug."]
>>> completions = [[{"role": "assistant", "content": f"<answer>{text}</answer>"}] for text in answers]
>>> reward(completions=completions, reference=["B. Adrenaline"] * 4)
[1.0, 0.0, 0.0, 0.0]
>>> reward(completions=completions[:1], reference=["Adrenaline into the thigh"])
[None]
"""

import re

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
LETTER = re.compile(r"(?<![A-Za-z'’])([A-H])(?![A-Za-z'’])")
"""A capital letter from A to H that is no part of a word."""
FIRST = re.compile(r"\(?([A-H])(?:[).:]|\s*$)")
"""The letter a reference answer begins with: "B", "B.", "(B)" or "B:", and nothing like "A drug"."""


def reward(completions, reference, **kwargs):
    """1, 0 or None for each completion."""
    return [score(completion[0]["content"], right) for completion, right in zip(completions, reference, strict=True)]


def score(text, right):
    """The score of one completion against the reference answer."""
    expected = FIRST.match(right.strip())
    if expected is None:
        return None
    found = ANSWER.search(text)
    named = set(LETTER.findall(found.group(1) if found else text))
    return 1.0 if named == {expected.group(1)} else 0.0
