"""What is measured of one text without a model, and what becomes of a language model's loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from core.config import Parser
from core.reward.parsing import Parsed
from core.text import words

PERPLEXITY_SCALE = 20.0
"""The perplexity that earns a fluency of one half."""

NOTEBOOK_BATCH = 8
NOTEBOOK_FLAT = 1e-6


def fluency(mean_loss: float) -> float:
    """Fluency of one text from its mean token loss in nats: 1 for a perplexity of 0, 1/2 at 20, towards 0 above.

    >>> round(fluency(math.log(20)), 3)
    0.5
    """
    return 1.0 / (1.0 + math.exp(min(mean_loss, 50.0)) / PERPLEXITY_SCALE)


def perplexity_of(fluency: float) -> float | None:
    """The perplexity that earns a fluency; None for 0, which only an empty text has.

    >>> perplexity_of(0.5), perplexity_of(0.0)
    (20.0, None)
    """
    return PERPLEXITY_SCALE * (1.0 / fluency - 1.0) if fluency > 0 else None


def repetition(text: str, size: int = 3) -> float:
    """The share of word n-grams that have been said before: 0 for none, near 1 for a text that goes round in circles.

    >>> round(repetition("the pain the pain the pain the pain"), 3)
    0.667
    >>> repetition("give oxygen and call for help")
    0.0
    """
    said = words(text)
    grams = [tuple(said[i : i + size]) for i in range(len(said) - size + 1)]
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def notebook_fluency(reference_losses: Sequence[float]) -> list[float]:
    """The published notebook's perplexity term, exactly as it runs.

    It scores the *reference* answers: one mean loss for each batch of eight, made a perplexity, inverted, then
    stretched to [0, 1] over the call; one half when all are the same, as they are for the completions of one prompt.

    Args:
        reference_losses: mean token loss of the reference of each completion of one call, in nats.
    """
    inverted = np.empty(len(reference_losses))
    for start in range(0, len(reference_losses), NOTEBOOK_BATCH):
        batch = slice(start, start + NOTEBOOK_BATCH)
        inverted[batch] = math.exp(-float(np.mean(reference_losses[batch])))
    span = float(inverted.max() - inverted.min())
    if span < NOTEBOOK_FLAT:
        return [0.5] * len(reference_losses)
    return [float(value) for value in (inverted - inverted.min()) / span]


def tag_score(parsed: Parsed, parser: Parser) -> float:
    """One half for each of the two tag pairs; the strict parser takes one half off for every fault, down to -1."""
    score = 0.5 * parsed.pairs
    return score if parser == "lenient" else max(score - 0.5 * len(parsed.faults), -1.0)


def copies_prompt(answer: str, prompt: str, size: int = 4, share: float = 0.9) -> bool:
    """Whether an answer only repeats the prompt: at least `share` of its word 4-grams stand in the prompt as well.

    Answers shorter than 4 words count as copies only when they are the whole prompt.
    """
    said = words(answer)
    if len(said) < size:
        return bool(said) and said == words(prompt)
    known = _known_grams(prompt, size)
    grams = [tuple(said[i : i + size]) for i in range(len(said) - size + 1)]
    return sum(gram in known for gram in grams) >= share * len(grams)


@lru_cache(maxsize=256)
def _known_grams(prompt: str, size: int) -> frozenset[tuple[str, ...]]:
    """The word n-grams of a prompt, kept because all completions of its group are compared with them."""
    source = words(prompt)
    return frozenset(tuple(source[i : i + size]) for i in range(len(source) - size + 1))
