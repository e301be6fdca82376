"""`python -m core fit`: fits the weights of a reward to the votes on a board."""

from __future__ import annotations

import argparse
from typing import Any

from core.commands.reward_options import add_reward_options, chosen_reward
from core.commands.verbs import add_verb
from core.errors import ConfigError
from core.jobs.tasks import silent
from core.lab.boards import BUNDLED, resolved
from core.lab.fit_result import Fit
from core.lab.fitting import fit_task
from core.paths import Home
from core.reward.presets import check_new_name, save_preset
from core.reward.ready import with_missing_hashes
from core.text import one_line


def add_fit_verb(verbs: Any) -> None:
    """Give the command line the verb `fit`; `verbs` is what `add_subparsers` returned."""
    parser = add_verb(verbs, "fit", fit_weights, "Fit the weights of a reward to raters' votes.")
    parser.add_argument("--board", default=BUNDLED, metavar="ID", help=f"board that was judged (default: {BUNDLED})")
    add_reward_options(parser)
    parser.add_argument("--rater", metavar="NAME", action="append", help="only this rater's votes; may be repeated")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of folds and bootstrap (default: 0)")
    parser.add_argument("--save-preset", metavar="NAME", help="save the preset with the fitted weights under this name")


def fit_weights(options: argparse.Namespace, home: Home) -> Any:
    """Fit weights, say how well they do, and save them when asked to."""
    if not 0 <= options.seed < 2**32:
        raise ConfigError(f"--seed is {options.seed}: use a whole number from 0 to {2**32 - 1}.")
    if options.save_preset is not None:
        check_new_name(home, options.save_preset)
    config = with_missing_hashes(home, chosen_reward(options, home)[0])
    request = {
        "board": resolved(home, options.board),
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


def _print(fit: Fit) -> None:
    print(*fit.words, fit.verdict, *fit.left_out, sep="\n")
    for kappa in fit.kappa:
        print(f"{one_line(kappa.first)} and {one_line(kappa.second)}: {kappa.sentence}")
