"""The options of the command line that say which reward is meant: the same for every verb of the reward lab."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from core.config import DEFAULT_TAGS, RewardConfig, Tags, read_config, validation_sentence
from core.errors import ConfigError
from core.paths import Home
from core.reward.presets import reward_named

_PRESET = "robust"


def add_reward_options(parser: argparse.ArgumentParser) -> None:
    """Give a verb `--preset`, `--config` and `--weights`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--preset", metavar="NAME", help=f"reward preset, built in or saved (default: {_PRESET})")
    group.add_argument("--config", metavar="FILE", type=Path, help="the reward and the tags of a run's config.json")
    parser.add_argument(
        "--weights",
        metavar="NAME=W,…",
        help="other weights for some components, such as semantic=0.5,tags=-0.1; the rest stay as they are",
    )


def chosen_reward(options: argparse.Namespace, home: Home) -> tuple[RewardConfig, Tags]:
    """The reward that the options describe, and the tags of the completions that it reads.

    Raises:
        ConfigError: a preset, file or weight cannot be used.
    """
    if options.config:
        run = read_config(options.config)
        return with_weights(run.reward, options.weights), run.prompt.tags
    return with_weights(reward_named(home, options.preset or _PRESET), options.weights), DEFAULT_TAGS


def with_weights(reward: RewardConfig, text: str | None) -> RewardConfig:
    """The reward with other weights for the components that `text` names.

    Raises:
        ConfigError: it is not a list of NAME=NUMBER, or names a component that the reward does not have.
    """
    if text is None:
        return reward
    weights = dict(reward.weights)
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            weights[name.strip()] = float(number)
        except ValueError as error:
            raise ConfigError(f"--weights holds {part!r}: give NAME=NUMBER, such as semantic=0.5.") from error
    try:
        return RewardConfig.model_validate({**reward.model_dump(), "weights": weights})
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def add_tag_options(parser: argparse.ArgumentParser) -> None:
    """Give a verb `--reasoning-tag` and `--answer-tag`."""
    parser.add_argument("--reasoning-tag", metavar="NAME", help="name of the reasoning tag")
    parser.add_argument("--answer-tag", metavar="NAME", help="name of the answer tag")


def chosen_tags(options: argparse.Namespace, usual: Tags = DEFAULT_TAGS) -> Tags:
    """The tags that the options name, else those of `usual`.

    Raises:
        ConfigError: a name cannot be that of a tag.
    """
    names = {"reasoning": options.reasoning_tag, "answer": options.answer_tag}
    named = {part: name for part, name in names.items() if name is not None}
    try:
        return Tags.model_validate({**usual.model_dump(), **named})
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error
