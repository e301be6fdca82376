"""A reward of your own, to start from.

Copy this file under a new name, change what `reward` returns, and try it on sample completions before you train.

The function is called with the completions of one step, or of one set of samples, and returns one number for each, in
their order:

    1.0   as good as it gets
    0.0   neither good nor bad
    -1.0  as bad as it gets
    None  no opinion; the completion then counts as the average of its group

True counts as 1 and False as 0. A model learns only from differences inside a group, so a number that is the same for
all answers to one question teaches nothing.

Everything comes by name, as lists with one entry for each completion:

    prompts      the question as messages: [{"role": "user", "content": "Which drug ...?"}]
    completions  what the model wrote, as messages: [{"role": "assistant", "content": "<reasoning>..."}]
    question     the question as text
    reference    the reference answer as text; `answer` is the same
    group        which question it belongs to; the completions of one group are compared with each other
    ...          every further column that the data set carries, under its own name, as text

The file runs in a process of its own, without your keys and tokens, and each call has a time limit. Only this one file
is recorded with a run, so keep word lists and tables inside it. Whatever Python package is installed can be imported.

>>> completion = [{"role": "assistant", "content": "<answer>Give oxygen.</answer>"}]
>>> reward(completions=[completion], reference=["Give oxygen."])
[1.0]
"""

import re

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def reward(completions, reference, **kwargs):
    """1 for a completion whose answer is the reference answer word for word, else 0."""
    scores = []
    for completion, expected in zip(completions, reference, strict=True):
        text = completion[0]["content"]
        found = ANSWER.search(text)
        answer = found.group(1) if found else text
        scores.append(1.0 if answer.split() == expected.split() else 0.0)
    return scores
