"""What teaches a model the form of an answer without training: seeing it done, and being made to begin."""

from __future__ import annotations

from math import ceil
from typing import Any

from core.config import Example, RunConfig
from core.prompts import EXAMPLES, PROMPTS, example_completion
from core.training.advice import Mend

MULTIPLE = 8
"""Limits in tokens are multiples of this."""
_LETTERS_A_TOKEN = 3
"""Fewer than tokens of any language with spaces have, so that room for a text is never too small."""


def format_mends(config: RunConfig, longest_prompt: int) -> tuple[Mend, ...]:
    """Worked examples and the opening tag, where the prompt does not have them yet.

    Args:
        longest_prompt: of the rows that are to be trained on, in tokens.
    """
    prompt, mends = config.prompt, []
    if not prompt.examples:
        examples = [example.model_dump() for example in _examples(config)]
        mends.append(Mend("Show worked examples", {"prompt.examples": examples, **_room(config, longest_prompt)}))
    if not prompt.prefill:
        mends.append(Mend(f"Begin the answer with <{prompt.tags.reasoning}>", {"prompt.prefill": True}))
    return tuple(mends)


def rounded_up(tokens: float) -> int:
    """A limit of at least so many tokens."""
    return ceil(tokens / MULTIPLE) * MULTIPLE


def _examples(config: RunConfig) -> tuple[Example, ...]:
    """Those of the preset with this system prompt, which are in its language; else the English clinical ones."""
    same = (preset.prompt.examples for preset in PROMPTS.values() if preset.prompt.system == config.prompt.system)
    return next(same, ()) or EXAMPLES


def _room(config: RunConfig, longest_prompt: int) -> dict[str, Any]:
    """A higher limit for prompts where worked examples would push the longest one over it."""
    tags = config.prompt.tags
    letters = sum(len(example.question) + len(example_completion(example, tags)) for example in _examples(config))
    needed = rounded_up(longest_prompt + letters / _LETTERS_A_TOKEN)
    return {"train.max_prompt_length": needed} if needed > config.train.max_prompt_length else {}
