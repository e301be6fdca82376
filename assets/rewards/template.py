"""A reward of your own, to start from.

Copy this file under a new name, change what `reward` returns, and try it on sample completions before you train.

The function is called with completions and returns one number for each, in their order:

    1.0   as good as it gets
    0.0   neither good nor bad
    -1.0  as bad as it gets
    None  no opinion; the completion then counts as the average of its group

True counts as 1 and False as 0. A model learns only from differences inside a group, so a number that is the same for
all answers to one question teaches nothing.

Everything comes by name, as lists with one entry for each completion:

    prompts          the question as messages: [{"role": "user", "content": "Which drug ...?"}]
    completions      all that the model wrote, as messages: [{"role": "assistant", "content": "<reasoning>..."}]
    model_answer     what the model wrote between its answer tags, whatever these are called in the run; where there are
                     none, all that it wrote, without any tags
    model_reasoning  what it wrote between its reasoning tags; "" where there are none
    question         the question as text
    reference        the reference answer as text. `answer` is the same: the reference, not what the model wrote
    group            which question it belongs to; the completions of one group are compared with each other
    ...              every further column that the data set carries, under its own name, as text

The function is called for some groups at a time, never for a part of one, and each call has a time limit. Only this one
file is recorded with a run, so keep word lists and tables inside it. Whatever Python package is installed can be
imported.

The file runs in a process of its own, and your keys and tokens are not in its environment. But it runs with your rights
and can read whatever you can: use only files you trust.

>>> reward(model_answer=["Give oxygen.", "Wait."], reference=["Give oxygen.", "Give oxygen."])
[1.0, 0.0]
"""


def reward(model_answer, reference, **kwargs):
    """1 for a completion whose answer is the reference answer word for word, else 0."""
    scores = []
    for answer, expected in zip(model_answer, reference, strict=True):
        scores.append(1.0 if answer.split() == expected.split() else 0.0)
    return scores
