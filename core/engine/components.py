"""Opens the components of a reward that are not built in: custom rewards and the judge."""

from __future__ import annotations

from core.config import RewardConfig, Tags
from core.engine.agreement import count
from core.engine.custom_component import CustomComponent
from core.engine.judge import JudgeComponent
from core.paths import Home
from core.reward.custom_files import kept_sources, sources
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Component
from core.runs.run import Run


def open_components(
    config: RewardConfig, tags: Tags, home: Home, cache: ScoreCache, run: Run | None = None
) -> list[Component]:
    """The custom rewards and the judge of a configuration, ready to score; whoever opens them closes each of them.

    Args:
        run: whose own copies of the custom rewards are loaded; None loads the home's files.

    Raises:
        RewardError: a custom reward is missing, has changed, or fails while it is loaded.
        ConfigError: the judge may not be asked, or has no key.
    """
    found = sources(home.rewards, config) if run is None else kept_sources(run.rewards, config)
    opened: list[Component] = [JudgeComponent(config.judge, tags, cache, count())] if config.judge else []
    try:
        for source in found:
            custom = CustomComponent(source, tags)
            opened.append(custom)
            custom.start()
    except BaseException:
        for component in opened:
            component.close()
        raise
    return opened
