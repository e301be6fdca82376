"""Comparisons whose candidates are endpoints on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.compare.comparison import ComparisonRequest, make_request
from core.presets import preset_config
from core.reward.scoring import Sample
from core.serving.candidates import Candidate
from core.serving.scoring import AnswerScores


def endpoint_candidate(url: str = "http://127.0.0.1:9/v1", model: str = "m") -> Candidate:
    return Candidate(kind="endpoint", model=model, url=url)


def request_of(
    candidates: Sequence[Candidate] = (), questions: Sequence[str] = ("Why?", "How?"), **changes: Any
) -> ComparisonRequest:
    """Two candidates and two questions, if nothing else is said."""
    config = preset_config("demo")
    given: dict[str, Any] = {
        "candidates": tuple(candidates) or (endpoint_candidate(model="one"), endpoint_candidate(model="two")),
        "questions": [
            {"id": f"q{place}", "text": text, "reference": f"Because {place}."} for place, text in enumerate(questions)
        ],
        "prompt": config.prompt,
        "reward": config.reward,
    }
    return make_request(**{**given, **changes})


def scores_by_length(samples: Sequence[Sample]) -> list[AnswerScores]:
    """Stands for a reward: the length of each completion."""
    components = {"semantic": None, "fluency": 0.25, "tags": 0.5}
    return [
        AnswerScores(reward=len(sample.completion) / 1000, valid=True, well_formed=False, components=components)
        for sample in samples
    ]
