"""Says in a plain word what a component of the reward really does, and what components are called. Pure functions."""

from __future__ import annotations

from typing import Literal

from core.config import JUDGE
from core.reward.formula import VALIDITY

Word = Literal["off", "dead", "saturated", "opposing", "weak", "balanced", "dominant"]

_TITLES = {"semantic": "Similarity", "fluency": "Fluency", "tags": "Tags", JUDGE: "Judge", VALIDITY: "Valid or not"}
_HELP = {
    "semantic": "How close the answer is in meaning to the reference answer.",
    "fluency": "How natural the answer reads to a frozen language model.",
    "tags": "Whether the reasoning and answer tags are there and in order.",
    JUDGE: "What a language model behind an endpoint thinks of the answer.",
}

MEANINGS: dict[Word, str] = {
    "off": "Its weight is zero.",
    "dead": "Hardly differs inside a group, so nothing is learned from it whatever its weight.",
    "saturated": "Nearly every completion has its full score: it is learned, and there is no more to gain from it.",
    "opposing": "Where it is high the reward tends to be low: the other components pull the other way.",
    "weak": "Decides less than its weight suggests.",
    "balanced": "Has its part in the decision.",
    "dominant": "Decides nearly everything; the others are hardly heard.",
}

_DEAD_SHARE = 0.05
_FULL_SCORE = 0.95
_DOMINANT_SHARE = 0.8


def component_title(name: str) -> str:
    """What a component is called; a custom reward has the name of its file.

    >>> component_title("semantic"), component_title("exact_choice")
    ('Similarity', 'Exact choice')
    """
    return _TITLES.get(name) or name.replace("_", " ").capitalize()


def component_help(name: str) -> str:
    """What a component measures, in one sentence."""
    return _HELP.get(name, f"What the custom reward {name}.py returns.")


def weight_word(weight: float, total: float, share: float | None, score: float) -> Word:
    """What a component really does in the reward.

    Args:
        weight: the configured weight.
        total: the sum of the absolute weights.
        share: its part of the within-group variance of the reward; None when nothing varies.
        score: its mean score, at most 1.

    >>> weight_word(0.4, 1.0, share=0.0, score=0.5), weight_word(0.1, 1.0, share=0.01, score=0.99)
    ('dead', 'saturated')
    """
    if weight == 0 or total == 0:
        return "off"
    if share is None or abs(share) < _DEAD_SHARE:
        return "saturated" if weight > 0 and score >= _FULL_SCORE else "dead"
    if share < 0:
        return "opposing"
    expected = abs(weight) / total
    if share >= _DOMINANT_SHARE and expected < _DOMINANT_SHARE:
        return "dominant"
    return "weak" if share < expected / 2 else "balanced"


def validity_word(share: float | None, valid: float) -> Word:
    """What being valid or not really does in the reward, by its share of the variance and the share of valid ones.

    >>> validity_word(0.0, valid=1.0), validity_word(0.9, valid=0.5)
    ('saturated', 'dominant')
    """
    if share is None or abs(share) < _DEAD_SHARE:
        return "saturated" if valid >= _FULL_SCORE else "dead"
    if share < 0:
        return "opposing"
    return "dominant" if share >= _DOMINANT_SHARE else "balanced"
