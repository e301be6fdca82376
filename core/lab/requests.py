"""What the tasks `sample`, `measure` and `stress` are asked, checked once; `core.engine.lab` does them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core.config import (
    DEFAULT_TAGS,
    EMBEDDED_POLICY,
    SAMPLE,
    DataConfig,
    PromptConfig,
    RewardConfig,
    Tags,
    validation_sentence,
)
from core.errors import ConfigError


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SampleRequest(_Request):
    """Fresh completions from a model, measured for a reward.

    Attributes:
        model: an embedded name, a local directory or a Hugging Face id; not read when `run` is given.
        data: where the questions come from; a text stands for its path. Only rows that may be trained on are asked.
        prompt, max_tokens, temperature: how the model is asked; None takes the run's, else the prepared data set's,
            else the demo's.
        run: the id of a run whose trained adapter answers; empty for the model as it is.
        prompts, completions: how many questions, and how many answers to each.
        seed: chooses the questions and the answers.
        reward: what is measured of them.
        title: what the board is called; empty makes one up.
    """

    model: str = Field(default=EMBEDDED_POLICY, min_length=1)
    data: DataConfig = DataConfig(path=SAMPLE)
    prompt: PromptConfig | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=8192)
    temperature: float | None = Field(default=None, ge=0, le=5)
    run: str = ""
    prompts: int = Field(default=8, ge=1, le=1000)
    completions: int = Field(default=8, ge=1, le=256)
    seed: int = Field(default=0, ge=0, lt=2**32)
    reward: RewardConfig
    title: str = Field(default="", max_length=200)

    @field_validator("data", mode="before")
    @classmethod
    def _from_path(cls, data: object) -> object:
        return {"path": data} if isinstance(data, str) else data


class MeasureRequest(_Request):
    """A board to be measured for a reward; the bundled one and those of runs are kept as copies."""

    board: str
    reward: RewardConfig


class StressRequest(_Request):
    """A reward to be tried on the stress set."""

    reward: RewardConfig
    tags: Tags = DEFAULT_TAGS


Request = TypeVar("Request", bound=BaseModel)


def checked(kind: type[Request], arguments: Mapping[str, Any]) -> Request:
    """The request that a task's arguments describe.

    Raises:
        ConfigError: names every argument that is wrong.
    """
    try:
        return kind.model_validate(arguments)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error
