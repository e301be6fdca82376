"""What names a custom reward or the judge for good, so that scores are never taken for those of another one."""

from __future__ import annotations

import hashlib

from core.config import JUDGE, JudgeConfig, RewardConfig
from core.errors import ConfigError
from core.reward.judge_endpoint import judge_address
from core.reward.judge_prompt import system_text

_DIGITS = 12


def component_identity(config: RewardConfig, name: str) -> str:
    """The name of a component with what its scores depend on.

    A custom reward is `custom <name> <hash>`, by the hash that `config` has of its file (see `core.reward.ready`);
    without one the hash is left out. The judge is `judge <model>@<hash>`, by its address and what it is told. Built-in
    components have their name alone.

    >>> from core.config import CustomReward
    >>> config = RewardConfig(weights={"tags": 1}, parser="strict", fluency="answer",
    ...                       custom=(CustomReward(name="dose", sha256="0123456789abcdef"),))
    >>> component_identity(config, "dose")
    'custom dose 0123456789ab'
    """
    if name == JUDGE and config.judge is not None:
        said = f"{_address(config.judge)}\0{system_text(config.judge)}"
        return f"{JUDGE} {config.judge.model}@{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:_DIGITS]}"
    for reward in config.custom:
        if reward.name == name:
            return f"custom {name} {reward.sha256[:_DIGITS]}".rstrip()
    return name


def _address(judge: JudgeConfig) -> str:
    try:
        return judge_address(judge)
    except ConfigError:  # the environment's is none, which is said when the judge is to be asked
        return ""
