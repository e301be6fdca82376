"""Evaluations with results, and the Evaluate page open on them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from streamlit.testing.v1 import AppTest

from core.endpoints import BASE_URL, ENDPOINTS, JUDGE_KEYS
from studio.navigation import EVALUATE

FIRST, SECOND = "before-training (base)", "after-training (base)"
"""What pages call the candidates of `build_evaluation`."""
HERE = "http://127.0.0.1:9/v1"
"""An address on this machine, which may be asked without a key; nobody listens there."""


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
