"""The verb `train`: put a run's configuration together, then start the run and follow it, or queue it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.commands.follow import follow, started
from core.commands.verbs import add_verb
from core.config import PREPARED, SAMPLE, DataConfig, RunConfig, read_config, with_changes
from core.data.prepared import find, run_config
from core.datasets import refuse_single_split
from core.errors import ConfigError
from core.jobs import queue, supervisor
from core.paths import Home
from core.presets import SIZES, preset_config
from core.reward.presets import reward_named
from core.runs.run import find_run

_SIZE = "demo"
"""What a run's size is when nobody says."""


def add_train_verb(verbs: Any) -> None:
    """Add the verb to what `add_subparsers` returned."""
    parser = add_verb(verbs, "train", train, "Start a training run and follow it; Ctrl-C asks it to stop.")
    config_options(parser)
    after = parser.add_mutually_exclusive_group()
    after.add_argument("--detach", action="store_true", help="start the run and return at once")
    after.add_argument("--queue", action="store_true", help="return at once; the run starts when there is room for it")


def config_options(parser: argparse.ArgumentParser) -> None:
    """The options that `config_of` reads."""
    parser.add_argument("--size", "--preset", dest="size", choices=SIZES, help=f"size of the run (default: {_SIZE})")
    parser.add_argument("--reward", metavar="NAME", help="reward preset, built in or saved (default: robust)")
    parser.add_argument("--config", metavar="FILE", type=Path, help="a config.json, in place of size and reward")
    parser.add_argument(
        "--from", metavar="RUN", dest="source", help="a run whose settings to take; 'last' for the newest"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="training steps")
    parser.add_argument("--seed", type=int, metavar="S", help="random seed")
    parser.add_argument("--model", metavar="NAME", help="embedded name, local directory or Hugging Face id")
    parser.add_argument("--data", metavar="DATA", help="'sample', a JSONL or CSV file, or a prepared data set")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="learning rate; 0 makes a control run")
    parser.add_argument(
        "--set",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        help="any setting by its path in config.json, as in train.beta=0.04; JSON or plain text; repeatable",
    )


def train(options: argparse.Namespace, home: Home) -> Any:
    """Start a run and follow it, or leave it in the queue."""
    config = config_of(options, home)
    prefix = "run" if options.config or options.source else options.size or _SIZE
    if options.queue:
        run = queue.enqueue(home, config, prefix)
        queue.start_next(home)
        return started(run, options)
    run = supervisor.start(home, config, prefix)
    if options.detach:
        return started(run, options)
    if not options.json:
        print(f"Run {run.id} in {run.folder}")
    return follow(run, options)


def config_of(options: argparse.Namespace, home: Home) -> RunConfig:
    """The configuration that the options ask for.

    Raises:
        ConfigError, DataError, RunError: options contradict each other, or one of them is wrong.
    """
    config = _base(options, home)
    if options.reward:
        config = with_changes(config, {"reward": reward_named(home, options.reward).model_dump()})
    return with_changes(_with_data(config, options, home), _changes(options) | settings_of(options.set))


def settings_of(pairs: Sequence[str]) -> dict[str, Any]:
    """The values of `--set` by dotted path.

    Raises:
        ConfigError: one of them has no `=`.

    >>> settings_of(["train.beta=0.04", "train.loss_type=grpo", 'adapter.target_modules=["q_proj"]'])
    {'train.beta': 0.04, 'train.loss_type': 'grpo', 'adapter.target_modules': ['q_proj']}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        path, sign, text = pair.partition("=")
        if not sign or not path:
            raise ConfigError(f"--set {pair!r} names no value. Write it as PATH=VALUE, such as train.steps=20.")
        try:
            found[path] = json.loads(text)
        except ValueError:
            found[path] = text
    return found


def _base(options: argparse.Namespace, home: Home) -> RunConfig:
    whole = [name for name, given in (("--config", options.config), ("--from", options.source)) if given]
    if whole and (options.size or options.reward or len(whole) > 1):
        raise ConfigError(
            f"{whole[0]} says all that --size, --reward or another configuration would say. Give one or the other; "
            "--set changes single settings of it."
        )
    if options.config:
        return read_config(options.config)
    return find_run(home, options.source).config() if options.source else preset_config(options.size or _SIZE)


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    wanted = {
        "train.steps": options.steps,
        "train.seed": options.seed,
        "train.learning_rate": options.learning_rate,
        "model": options.model,
    }
    return {path: value for path, value in wanted.items() if value is not None}


def _with_data(config: RunConfig, options: argparse.Namespace, home: Home) -> RunConfig:
    """The configuration with the data that `--data` names; a prepared data set brings its prompt, limits and model."""
    if options.data is None:
        return config
    refuse_single_split(DataConfig(path=options.data))
    if options.data == SAMPLE:
        return with_changes(config, {"data.path": SAMPLE, "data.fingerprint": ""})
    named = options.data.startswith(PREPARED)
    if not named and ("/" in options.data or Path(options.data).is_file()):
        return with_changes(config, {"data.path": str(Path(options.data).resolve()), "data.fingerprint": ""})
    data = find(home, options.data.removeprefix(PREPARED))
    model = config.model if options.config or options.source else data.manifest.draft.model
    return with_changes(run_config(config, data), {"model": model})
