"""The command line. Every verb takes `--home DIR` and `--json`; `--json` puts one JSON value on standard output.

Exit codes: 0 done, 2 something the user can mend (one plain sentence on standard error), 1 a defect of the studio.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

from core.commands.access import add_access_verbs
from core.commands.boards import add_board_verbs
from core.commands.control import add_control_verbs
from core.commands.custom_rewards import add_reward_verb
from core.commands.data_options import add_data_verbs
from core.commands.evaluate import add_evaluate_verb
from core.commands.export import add_export_verb
from core.commands.fit import add_fit_verb
from core.commands.generate import add_generate_verb
from core.commands.preflight import add_preflight_verb
from core.commands.run_admin import add_run_admin_verbs
from core.commands.runs import add_run_verbs
from core.commands.score import add_lab_verbs
from core.commands.serve import add_serve_verb
from core.commands.train import add_train_verb
from core.commands.verbs import add_verb
from core.config import RewardConfig, Tags
from core.errors import StudioError
from core.jobs.spawning import JOB_ENVIRONMENT
from core.json_lines import json_line
from core.machine import Machine
from core.models import EMBEDDED, prepared_folder
from core.paths import Home
from core.reward.scoring import Scorer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    options = command_line().parse_args(arguments)
    for name, value in JOB_ENVIRONMENT.items():  # score and prepare compute in this process
        os.environ.setdefault(name, value)
    try:
        home = Home.open(options.home)
        answer = options.verb(options, home)
        if options.json and answer is not None:
            print(json_line(answer), flush=True)
    except StudioError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read has seen enough; Python would complain of it again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def command_line() -> argparse.ArgumentParser:
    """All verbs with their options; what it parses has the verb's function as `verb`."""
    parser = argparse.ArgumentParser(prog="python -m core", description="GRPO Studio without a browser.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    add_verb(verbs, "doctor", doctor, "Say what this machine has and what it can do.")
    add_verb(verbs, "prepare", prepare, "Prepare the embedded models; does nothing when they are ready.")
    add_train_verb(verbs)
    add_preflight_verb(verbs)
    add_run_verbs(verbs)
    add_control_verbs(verbs)
    add_run_admin_verbs(verbs)
    data = "Read, check, mend and prepare what a model is trained on."
    add_data_verbs(verbs.add_parser("data", help=data, description=data))
    add_lab_verbs(verbs, _opened_scorer)
    add_fit_verb(verbs)
    boards = "Sample completions that rewards are tried on: list, add, write, measure or delete them."
    add_board_verbs(verbs.add_parser("boards", help=boards, description=boards))
    add_reward_verb(verbs)
    add_serve_verb(verbs)
    add_generate_verb(verbs)
    add_evaluate_verb(verbs)
    add_export_verb(verbs)
    add_access_verbs(verbs)
    return parser


def doctor(options: argparse.Namespace, home: Home) -> Any:
    """What this machine has and can do."""
    from core.engine.export.gguf_quantise import quantiser

    machine = Machine.inspect(home)
    if options.json:
        return asdict(machine) | {"gguf": quantiser(), "advice": machine.advice(), "home": str(home.root)}
    print(f"Python       {machine.python}")
    print(f"Processor    {machine.cores} cores")
    print(f"Memory       {machine.free_memory_bytes / 1e9:.1f} of {machine.memory_bytes / 1e9:.1f} GB free")
    print(f"Disk         {machine.free_disk_bytes / 1e9:.1f} GB free in {home.root}")
    print(f"GPU          {'; '.join(gpu.title for gpu in machine.gpus) or 'none'}")
    for name, ready in machine.models.items():
        print(f"Model        {name}: {'ready' if ready else 'not prepared'}")
    for name, version in machine.packages.items():
        print(f"Package      {name} {version or 'not installed'}")
    print(f"GGUF         {quantiser()}")
    print(*machine.advice(), sep="\n")
    return None


def prepare(options: argparse.Namespace, home: Home) -> Any:
    """Prepare the embedded models."""
    if all(prepared_folder(name, home) for name in EMBEDDED):  # spares the heavy import on every start
        folders = [home.models / name for name in EMBEDDED]
        if not options.json:
            print("The embedded models are ready.")
    else:
        from core.engine.prepare import prepare as prepare_models

        folders = prepare_models(home, lambda line: print(line, file=sys.stderr, flush=True))
    return {"models": [str(folder) for folder in folders]}


def _opened_scorer(reward: RewardConfig, tags: Tags, home: Home) -> AbstractContextManager[Scorer]:
    from transformers.utils.logging import disable_progress_bar

    from core.engine.scorers import opened_scorer

    disable_progress_bar()
    return opened_scorer(reward, tags, home)
