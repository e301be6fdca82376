"""`python -m core score` and `python -m core stress`: completions under a reward, and a reward under stress."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.config import RewardConfig, Tags, read_config, validation_sentence
from core.errors import ConfigError
from core.lab.stress import CAUGHT, StressResult, foretold, is_foretold, stress_with, warning, weakest
from core.paths import Home
from core.reward_presets import reward_named
from core.score_file import read_samples, scored_lines
from core.scoring import Scorer
from core.text import one_line
from core.verbs import add_verb

OpenScorer = Callable[[RewardConfig, Tags, Home], Scorer]
"""Loads the models of a reward, so that this half needs no PyTorch."""

_DEFAULT = "robust"
_TRICK_WIDTH, _WIDTH = 34, 11


def add_lab_verbs(verbs: Any, open_scorer: OpenScorer) -> None:
    """Give the command line its verbs of the reward lab; `verbs` is what `add_subparsers` returned."""
    text = "Score completions from a file; one JSON object a line comes out."
    parser = add_verb(verbs, "score", partial(score, open_scorer=open_scorer), text)
    parser.add_argument("file", metavar="FILE", type=Path, help="rows with question, answer, completion, [group]")
    _reward_options(parser)
    parser.add_argument("--reasoning-tag", metavar="NAME", help="name of the reasoning tag")
    parser.add_argument("--answer-tag", metavar="NAME", help="name of the answer tag")
    text = "Say which tricks of the stress set slip through a reward, the worst first."
    _reward_options(add_verb(verbs, "stress", partial(stress, open_scorer=open_scorer), text))


def _reward_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--preset", metavar="NAME", help=f"reward preset, built in or saved (default: {_DEFAULT})")
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
    return with_weights(reward_named(home, options.preset or _DEFAULT), options.weights), Tags()


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


def score(options: argparse.Namespace, home: Home, open_scorer: OpenScorer) -> Any:
    """Score completions; prints one JSON object a line whether or not --json is given."""
    reward, tags = chosen_reward(options, home)
    named = {"reasoning": options.reasoning_tag, "answer": options.answer_tag}
    tags = _tags({**tags.model_dump(), **{part: name for part, name in named.items() if name is not None}})
    samples = read_samples(options.file)
    with _opened(open_scorer, reward, tags, home) as scorer:
        for line in scored_lines(samples, scorer):
            print(json.dumps(line, ensure_ascii=False))
    return None


def _tags(names: dict[str, str]) -> Tags:
    try:
        return Tags.model_validate(names)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def stress(options: argparse.Namespace, home: Home, open_scorer: OpenScorer) -> Any:
    """Print what each term of the reward, and the whole of it, catches of each trick."""
    reward, tags = chosen_reward(options, home)
    if is_foretold(reward):
        found = foretold(reward)
    else:
        with _opened(open_scorer, reward, tags, home) as scorer:
            found = stress_with(scorer)
    if not options.json:
        print(*matrix(found), sep="\n")
        print(f"\nA trick counts as caught when the good answer earns more in over {CAUGHT:.0%} of its pairs.")
        print(warning(found) or "This reward catches every trick of the stress set.")
    return {**found.to_json(), "weakest": list(weakest(found)), "warning": warning(found)}


def matrix(found: StressResult) -> Iterator[str]:
    """Lines of a table: the share of pairs that each term catches, and the reward's mean margin."""
    yield f"{'trick':{_TRICK_WIDTH}}{'pairs':>6}" + "".join(
        f"{one_line(name, _WIDTH - 1):>{_WIDTH}}" for name in (*found.names, "margin")
    )
    for row, trick in enumerate(found.tricks):
        shares = "".join(f"{share:{_WIDTH}.0%}" for share in found.caught[row])
        yield f"{trick:{_TRICK_WIDTH}}{found.pairs[row]:6d}{shares}{found.margins[row, -1]:+{_WIDTH}.3f}"


@contextmanager
def _opened(open_scorer: OpenScorer, reward: RewardConfig, tags: Tags, home: Home) -> Iterator[Scorer]:
    scorer = open_scorer(reward, tags, home)
    try:
        yield scorer
    finally:
        scorer.close()
