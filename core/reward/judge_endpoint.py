"""Where the judge is asked, and with which key; see `core.endpoints` for which addresses a key is sent to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.config import JudgeConfig
from core.endpoints import ENDPOINTS, JUDGE_KEYS, OPENAI, Purpose, endpoint_key, own_address

__all__ = ["ENDPOINTS", "KEYS", "OPENAI", "Endpoint", "judge_address", "judge_endpoint"]

KEYS = JUDGE_KEYS
"""Environment variables that hold the judge's key; the first that is set counts."""


@dataclass(frozen=True)
class Endpoint:
    """An address that may be asked, and the key for it."""

    base_url: str
    key: str = field(repr=False)


def judge_endpoint(config: JudgeConfig, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint of a judge.

    Raises:
        ConfigError: as `core.endpoints.endpoint_key`.
    """
    chosen = judge_address(config, environment)
    own = f"; or leave base_url empty for {own_address(environment)}"
    purpose = Purpose("the judge", "reward.judge.base_url", KEYS, own)
    return Endpoint(chosen, endpoint_key(chosen, purpose, environment))


def judge_address(config: JudgeConfig, environment: Mapping[str, str] = os.environ) -> str:
    """Where a judge is asked: at its own address, else at the environment's.

    Raises:
        ConfigError: the environment's address is none.
    """
    return config.base_url or own_address(environment)
