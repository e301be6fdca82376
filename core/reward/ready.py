"""Whether a reward can be scored with here and now, asked before work is spent on what it scores."""

from __future__ import annotations

from core.config import RewardConfig
from core.models import locate
from core.paths import Home
from core.reward.custom_files import kept_sources, source_of, sources
from core.reward.judge_endpoint import judge_endpoint
from core.runs.run import Run


def ready_reward(home: Home, config: RewardConfig, run: Run | None = None) -> RewardConfig:
    """`config` with the hashes of its custom rewards, when all that it needs is there.

    Args:
        run: the run to go on with, whose own copies of the custom rewards count; None looks at the home's.

    Raises:
        ModelError: a scoring model is not there.
        RewardError: a custom reward is missing, cannot be used, or has changed since `config` was made.
        ConfigError: the judge may not be asked, or has no key.
    """
    for model in (config.similarity_model, config.fluency_model):
        locate(model, home)
    found = sources(home.rewards, config) if run is None else kept_sources(run.rewards, config)
    if config.judge is not None:
        judge_endpoint(config.judge)
    return config.model_copy(update={"custom": tuple(source.reward for source in found)})


def with_missing_hashes(home: Home, config: RewardConfig) -> RewardConfig:
    """`config` with the hashes that its custom rewards lack, such as a saved preset's, from the files as they are.

    What has been measured on a board is found by these hashes.

    Raises:
        RewardError: such a file is missing or cannot be used.
    """
    custom = (reward if reward.sha256 else source_of(home.rewards, reward).reward for reward in config.custom)
    return config.model_copy(update={"custom": tuple(custom)})
