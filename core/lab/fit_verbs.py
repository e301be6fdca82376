"""`python -m core fit`: fits the weights of a reward to the votes on a board."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from core.config import RewardConfig, validation_sentence
from core.errors import ConfigError
from core.lab.boards import BUNDLED
from core.lab.fit_result import Fit
from core.lab.fitting import fit_task
from core.paths import Home
from core.reward_presets import check_new_name, reward_named, save_preset
from core.tasks import silent
from core.text import one_line
from core.verbs import add_verb


def add_fit_verb(verbs: Any) -> None:
    """Give the command line the verb `fit`; `verbs` is what `add_subparsers` returned."""
    parser = add_verb(verbs, "fit", fit_weights, "Fit the weights of a reward to raters' votes.")
    parser.add_argument("--board", default=BUNDLED, metavar="ID", help=f"board that was judged (default: {BUNDLED})")
    parser.add_argument("--preset", default="robust", metavar="NAME", help="the present reward (default: robust)")
    parser.add_argument(
        "--weights",
        metavar="NAME=W",
        nargs="+",
        help="present weights in place of the preset's, such as semantic=0.5 tags=0.5",
    )
    parser.add_argument("--rater", metavar="NAME", action="append", help="only this rater's votes; may be repeated")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of folds and bootstrap (default: 0)")
    parser.add_argument("--save-preset", metavar="NAME", help="save the preset with the fitted weights under this name")


def fit_weights(options: argparse.Namespace, home: Home) -> Any:
    """Fit weights, say how well they do, and save them when asked to."""
    if not 0 <= options.seed < 2**32:
        raise ConfigError(f"--seed is {options.seed}: use a whole number from 0 to {2**32 - 1}.")
    if options.save_preset is not None:
        check_new_name(home, options.save_preset)
    config = _weighed(reward_named(home, options.preset), options.weights)
    request = {
        "board": options.board,
        "reward": config.model_dump(mode="json"),
        "raters": options.rater,
        "seed": options.seed,
    }
    result = fit_task(home, request, silent)
    fit = Fit.from_json(result)
    if not options.json:
        _print(fit)
    if options.save_preset is not None:
        save_preset(home, options.save_preset, fit.applied(config))
        if not options.json:
            print(f"Saved as the preset {options.save_preset}.")
    return {**result, "verdict": fit.verdict, "saved": options.save_preset}


def _weighed(config: RewardConfig, given: Sequence[str] | None) -> RewardConfig:
    """`config` with the weights given as `NAME=W`; components that are not named get none."""
    if given is None:
        return config
    weights: dict[str, float] = {}
    for part in given:
        name, _, number = part.partition("=")
        try:
            weights[name] = float(number)
        except ValueError as error:
            raise ConfigError(f"--weights holds {part!r}: give NAME=NUMBER, such as semantic=0.5.") from error
    try:
        return RewardConfig.model_validate({**config.model_dump(), "weights": weights})
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def _print(fit: Fit) -> None:
    print(*fit.words, fit.verdict, *fit.left_out, sep="\n")
    for kappa in fit.kappa:
        print(f"{one_line(kappa.first)} and {one_line(kappa.second)}: {kappa.sentence}")
