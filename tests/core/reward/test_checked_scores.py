"""Whose fault it is when there is no score."""

from __future__ import annotations

import sqlite3

import pytest

from core.errors import RewardError
from core.reward.checked_scores import opinions


def fails(error: Exception) -> list[float]:
    raise error


def test_a_component_that_fails_is_named() -> None:
    with pytest.raises(RewardError, match="'own' failed"):
        opinions("own", 1, lambda: fails(ValueError("no")))


def test_a_damaged_score_cache_is_not_blamed_on_the_component() -> None:
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        opinions("judge", 1, lambda: fails(sqlite3.DatabaseError("database disk image is malformed")))
