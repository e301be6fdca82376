"""The plain word for what a component really does."""

from __future__ import annotations

import pytest

from core.reward import verdicts


@pytest.mark.parametrize(
    ("weight", "share", "score", "word"),
    [
        (0.0, 0.5, 0.5, "off"),  # what it would carry does not matter
        (0.4, 0.0, 0.5, "dead"),  # the notebook's fluency: the same for a whole group
        (0.4, None, 0.5, "dead"),  # no group has varied at all
        (0.2, 0.01, 0.99, "saturated"),  # every completion has its tags
        (0.2, 0.3, 0.99, "balanced"),  # nearly full, but the few that fail still decide
        (0.4, -0.2, 0.5, "opposing"),
        (0.5, 0.1, 0.5, "weak"),
        (0.5, 0.45, 0.5, "balanced"),
        (0.5, 0.9, 0.5, "dominant"),
        (1.0, 1.0, 0.5, "balanced"),  # the only weight there is
        (-0.2, 0.01, 0.99, "dead"),  # a penalty has no full score to reach
    ],
)
def test_weight_word(weight: float, share: float | None, score: float, word: str) -> None:
    assert verdicts.weight_word(weight, 1.0, share, score) == word
