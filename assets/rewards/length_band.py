"""Length band: full score for an answer of a sensible length, less the further it is outside.

Between SHORTEST and LONGEST words an answer scores 1. Outside, the score falls evenly: to 0 for an empty answer, and to
0 for one twice as long as the longest. Without such a term models learn to write ever more, or next to nothing.

Worked example with a band of 10 to 60 words: 5 words are half of what is wanted and score 0.5; 30 words score 1; 90
words are half a band too long and score 0.5; 120 words and more score 0.

>>> reward(model_answer=["word " * count for count in (5, 30, 90, 200)])
[0.5, 1.0, 0.5, 0.0]
"""

SHORTEST = 10
LONGEST = 60


def reward(model_answer, **kwargs):
    """One number from 0 to 1 for each completion, from the number of words in its answer."""
    return [band(len(answer.split())) for answer in model_answer]


def band(words):
    """The score of an answer of so many words.

    >>> band(0), band(10), band(60), band(75)
    (0.0, 1.0, 1.0, 0.75)
    """
    if words < SHORTEST:
        return words / SHORTEST
    return max(0.0, 1.0 - max(0, words - LONGEST) / LONGEST)
