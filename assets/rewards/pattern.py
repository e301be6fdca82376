"""Pattern: whether the answer contains what must be there, and nothing that must not.

WANTED and UNWANTED are regular expressions, looked for in the answer without regard to upper and lower case. The score
is the share of the wanted patterns that are found; any unwanted pattern makes it -1. As they stand the patterns ask for
a dose with its unit, such as "0.5 mg", and refuse the "ug" and "μg" that are easily misread.

Worked example: "Give 0.5 mg adrenaline" has a dose and scores 1; "Give adrenaline" has none and scores 0; "Give 500 ug
adrenaline" has an unwanted unit and scores -1.

>>> reward(model_answer=["Give 0.5 mg adrenaline.", "Give adrenaline.", "Give 500 ug adrenaline."])
[1.0, 0.0, -1.0]

Mind patterns that nest repetitions, such as (a+)+: some texts keep them busy for hours, and the call is then stopped.
"""

import re

WANTED = [r"\b\d+(\.\d+)?\s*(mg|g|ml|microgram|micrograms|units?)\b"]
UNWANTED = [r"\b\d+(\.\d+)?\s*(ug|[µμ]g)\b"]


def reward(model_answer, **kwargs):
    """One number for each completion: -1, or from 0 to 1."""
    return [score(answer) for answer in model_answer]


def score(answer):
    """The score of one answer."""
    if any(re.search(pattern, answer, re.IGNORECASE) for pattern in UNWANTED):
        return -1.0
    return sum(bool(re.search(pattern, answer, re.IGNORECASE)) for pattern in WANTED) / len(WANTED)
