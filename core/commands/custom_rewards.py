"""`python -m core rewards`: lists the custom rewards, and tries one on sample completions."""

from __future__ import annotations

import argparse
from typing import Any

from core.commands.verbs import add_verb, finish_task
from core.errors import RewardError
from core.lab.boards import BUNDLED
from core.lab.requests import checked
from core.paths import Home
from core.reward.custom_files import CustomFile, list_custom
from core.reward.trial import Trial
from core.reward.trial_request import TryRequest
from core.text import one_line


def add_reward_verb(verbs: Any) -> None:
    """Give the command line the verb `rewards`; `verbs` is what `add_subparsers` returned."""
    parser = add_verb(verbs, "rewards", rewards, "List the custom rewards, or try one on sample completions.")
    parser.add_argument("--try", dest="name", metavar="NAME", help="run this custom reward and say what came of it")
    parser.add_argument("--board", default=BUNDLED, metavar="ID", help=f"completions to try it on (default: {BUNDLED})")
    parser.add_argument("--count", type=int, metavar="N", help="how many completions of the board (default: 64)")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long it may take (default: 30)")


def rewards(options: argparse.Namespace, home: Home) -> Any:
    """List the custom rewards, or try one."""
    if options.name is not None:
        return _try(options, home)
    found = list_custom(home)
    if not options.json:
        print(*map(_line, found), sep="\n") if found else print(f"There are no custom rewards in {home.rewards}.")
    return [{"name": file.name, "sha256": file.sha256, "problem": file.problem} for file in found]


def _line(file: CustomFile) -> str:
    return f"{one_line(file.name):32} {file.sha256[:12]:12}  {file.problem or 'ready'}"


def _try(options: argparse.Namespace, home: Home) -> Any:
    wanted = {"name": options.name, "board": options.board, "count": options.count, "seconds": options.seconds}
    asked = {name: value for name, value in wanted.items() if value is not None}
    checked(TryRequest, asked)  # before a task is started for it
    trial = Trial.model_validate(finish_task(home, "try_reward", asked))
    if trial.error:
        raise RewardError(trial.error)
    if not options.json:
        print(trial.verdict())
        print(f"{len(trial.scores)} completions in {trial.seconds:.2f} s, no opinion on {trial.missing:.0%}")
        if trial.mean is not None:
            print(f"mean {trial.mean:.3f}, lowest {trial.lowest:.3f}, highest {trial.highest:.3f}")
        if trial.output:
            print("It printed:", *map(one_line, trial.output.splitlines()), sep="\n")
    return trial.model_dump(mode="json")
