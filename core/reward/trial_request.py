"""What the task "try_reward" is asked, checked once; `core.engine.try_reward` does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from core.config import CustomReward, validation_sentence
from core.errors import ConfigError
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


def checked_request(arguments: Mapping[str, Any]) -> TryRequest:
    """The request that the task's arguments describe.

    Raises:
        ConfigError: names every argument that is wrong.
    """
    try:
        return TryRequest.model_validate(arguments)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error
