"""Evaluations with results, and the Evaluate page open on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.endpoints import BASE_URL, ENDPOINTS, JUDGE_KEYS
from core.evaluate.evaluation import Evaluation, comparison_of
from core.evaluate.metrics import standing_metrics
from core.evaluate.statistics import evaluate_results
from core.paths import Home
from studio.navigation import EVALUATE
from tests.build_evaluation import build_evaluation

FIRST, SECOND = "before-training (base)", "after-training (base)"
"""What pages call the candidates of `build_evaluation`."""
HERE = "http://127.0.0.1:9/v1"
"""An address on this machine, which may be asked without a key; nobody listens there."""


def counted(home: Home, evaluation: Evaluation | None = None, **changes: Any) -> Evaluation:
    """An evaluation whose statistics have been counted.

    Args:
        changes: as `build_evaluation` takes them.
    """
    evaluation = evaluation or build_evaluation(home, **changes)
    comparison = comparison_of(home, evaluation)
    answers = comparison.answers()
    metrics = standing_metrics(answers, evaluation.metrics())
    request = evaluation.request()
    evaluation.keep_results(evaluate_results(comparison.request(), answers, request, evaluation.verdicts(), metrics))
    return evaluation


def evaluate_page(at: AppTest, **address: str | Sequence[str]) -> AppTest:
    """Opens the Evaluate page in an app that has been started."""
    at.switch_page(str(EVALUATE.path))
    for name, value in address.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no address in the environment."""
    for name in (*JUDGE_KEYS, ENDPOINTS, BASE_URL):
        monkeypatch.delenv(name, raising=False)
