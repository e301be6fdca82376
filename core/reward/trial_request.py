"""What the task "try_reward" is asked, checked once; `core.engine.try_reward` does it."""

from __future__ import annotations

from pydantic import Field

from core.config import CustomReward
from core.lab.boards import BUNDLED


class TryRequest(CustomReward):
    """A custom reward to be tried, its name, hash and time as in `CustomReward`.

    Attributes:
        board: the id of the board whose completions it is tried on.
        count: how many of them, from the first on.
    """

    board: str = Field(default=BUNDLED, min_length=1)
    count: int = Field(default=64, ge=1, le=1000)

    @property
    def reward(self) -> CustomReward:
        return CustomReward(name=self.name, sha256=self.sha256, seconds=self.seconds)
