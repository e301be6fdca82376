"""`python -m core score` and `python -m core stress`: completions under a reward, and a reward under stress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from core.commands.reward_options import add_reward_options, add_tag_options, chosen_reward, chosen_tags
from core.commands.score_file import read_samples, scored_lines
from core.commands.verbs import add_verb
from core.config import RewardConfig, Tags
from core.json_lines import json_line
from core.lab.stress import CAUGHT, StressResult, foretold, is_foretold, stress_with, warning, weakest
from core.paths import Home
from core.reward.scoring import Scorer
from core.text import one_line

OpenedScorer = Callable[[RewardConfig, Tags, Home], AbstractContextManager[Scorer]]
"""Loads the models of a reward for the length of a `with` block, so that this half needs no PyTorch."""

_TRICK_WIDTH, _WIDTH = 34, 11
_NONE_SLIPS = (
    f"This reward prefers the good answer in over {CAUGHT:.0%} of these pairs of every trick. That does not show that "
    "the reward is safe."
)


def add_lab_verbs(verbs: Any, opened_scorer: OpenedScorer) -> None:
    """Give the command line its verbs of the reward lab; `verbs` is what `add_subparsers` returned."""
    text = "Score completions from a file; one JSON object a line comes out."
    parser = add_verb(verbs, "score", partial(score, opened_scorer=opened_scorer), text)
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="rows with question, answer, completion, [group], [columns]"
    )
    add_reward_options(parser)
    add_tag_options(parser)
    text = "Say which tricks of the stress set slip through a reward, the worst first."
    add_reward_options(add_verb(verbs, "stress", partial(stress, opened_scorer=opened_scorer), text))


def score(options: argparse.Namespace, home: Home, opened_scorer: OpenedScorer) -> Any:
    """Score completions; prints one JSON object a line whether or not --json is given."""
    reward, tags = chosen_reward(options, home)
    samples = read_samples(options.file)
    with opened_scorer(reward, chosen_tags(options, tags), home) as scorer:
        for line in scored_lines(samples, scorer):
            print(json_line(line))
        _tell(scorer)
    return None


def stress(options: argparse.Namespace, home: Home, opened_scorer: OpenedScorer) -> Any:
    """Print what each term of the reward, and the whole of it, catches of each trick."""
    reward, tags = chosen_reward(options, home)
    if is_foretold(reward):
        found = foretold(reward)
    else:
        with opened_scorer(reward, tags, home) as scorer:
            found = stress_with(scorer)
            _tell(scorer)
    if not options.json:
        print(*matrix(found), sep="\n")
        print(f"\nA trick counts as caught when the good answer earns more in over {CAUGHT:.0%} of its pairs.")
        print(warning(found) or _NONE_SLIPS)
    return {**found.to_json(), "weakest": list(weakest(found)), "warning": warning(found)}


def _tell(scorer: Scorer) -> None:
    """Say on standard error what the user should know of the scores."""
    for note in scorer.notes():
        print(f"Note: {note}", file=sys.stderr)


def matrix(found: StressResult) -> Iterator[str]:
    """Lines of a table: the share of pairs that each term catches, and the reward's mean margin."""
    yield f"{'trick':{_TRICK_WIDTH}}{'pairs':>6}" + "".join(
        f"{one_line(name, _WIDTH - 1):>{_WIDTH}}" for name in (*found.names, "margin")
    )
    for row, trick in enumerate(found.tricks):
        shares = "".join(f"{share:{_WIDTH}.0%}" for share in found.caught[row])
        yield f"{trick:{_TRICK_WIDTH}}{found.pairs[row]:6d}{shares}{found.margins[row, -1]:+{_WIDTH}.3f}"
