"""The command line. Every verb takes `--home DIR` and `--json`; `--json` puts one JSON value on standard output.

Exit codes: 0 done, 2 something the user can mend (one plain sentence on standard error), 1 a defect of the studio.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from core import jobs
from core.commands.boards import add_board_verbs
from core.commands.custom_rewards import add_reward_verb
from core.commands.data_options import add_data_verbs
from core.commands.fit import add_fit_verb
from core.commands.score import add_lab_verbs
from core.commands.verbs import add_verb
from core.completions import held_out, summarise
from core.config import PREPARED, SAMPLE, DataConfig, RewardConfig, RunConfig, Tags, read_config, with_changes
from core.data.prepared import find, run_config
from core.datasets import refuse_single_split
from core.errors import ConfigError, StudioError
from core.events import Event, EventTail, Metrics, latest_metrics, read_events
from core.json_lines import json_line
from core.machine import Machine
from core.models import EMBEDDED, prepared_folder
from core.paths import Home
from core.presets import SIZES, preset_config
from core.reward.presets import reward_named
from core.reward.scoring import Scorer
from core.runs import Run, find_run, list_runs
from core.text import duration, sparkline

_POLL_SECONDS = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    options = _parser().parse_args(arguments)
    for name, value in jobs.JOB_ENVIRONMENT.items():  # score and prepare compute in this process
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description="GRPO Studio without a browser.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = partial(add_verb, verbs)
    verb("doctor", doctor, "Say what this machine has and what it can do.")
    verb("prepare", prepare, "Prepare the embedded models; does nothing when they are ready.")
    _train_options(verb("train", train, "Start a training run and follow it; Ctrl-C asks it to stop."))
    verb("runs", runs, "List all runs, the newest first.")
    for name, action, help_text in (
        ("show", show, "Show one run: its state, curve and held-out answers."),
        ("stop", stop, "Ask a run to stop after its current step; it saves a checkpoint."),
        ("resume", resume, "Go on with a stopped, failed or interrupted run."),
    ):
        verb(name, action, help_text).add_argument("run", metavar="RUN", help="run id, or 'last'")
    data = "Read, check, mend and prepare what a model is trained on."
    add_data_verbs(verbs.add_parser("data", help=data, description=data))
    add_lab_verbs(verbs, _opened_scorer)
    add_fit_verb(verbs)
    boards = "Sample completions that rewards are tried on: list, add, write, measure or delete them."
    add_board_verbs(verbs.add_parser("boards", help=boards, description=boards))
    add_reward_verb(verbs)
    return parser


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=SIZES, help="size of the run (default: demo)")
    parser.add_argument("--reward", metavar="NAME", help="reward preset, built in or saved (default: robust)")
    parser.add_argument("--config", metavar="FILE", type=Path, help="a run's config.json, in place of the presets")
    parser.add_argument("--steps", type=int, metavar="N", help="training steps")
    parser.add_argument("--seed", type=int, metavar="S", help="random seed")
    parser.add_argument("--model", metavar="NAME", help="embedded name, local directory or Hugging Face id")
    parser.add_argument("--data", metavar="DATA", help="'sample', a JSONL or CSV file, or a prepared data set")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="learning rate; 0 makes a control run")
    parser.add_argument("--detach", action="store_true", help="start the run and return at once")


def doctor(options: argparse.Namespace, home: Home) -> Any:
    """What this machine has and can do."""
    machine = Machine.inspect(home)
    if options.json:
        return asdict(machine) | {"advice": machine.advice(), "home": str(home.root)}
    print(f"Python       {machine.python}")
    print(f"Processor    {machine.cores} cores")
    print(f"Memory       {machine.free_memory_bytes / 1e9:.1f} of {machine.memory_bytes / 1e9:.1f} GB free")
    print(f"Disk         {machine.free_disk_bytes / 1e9:.1f} GB free in {home.root}")
    print(f"GPU          {'; '.join(machine.gpus) or 'none'}")
    for name, ready in machine.models.items():
        print(f"Model        {name}: {'ready' if ready else 'not prepared'}")
    for name, version in machine.packages.items():
        print(f"Package      {name} {version or 'not installed'}")
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


def train(options: argparse.Namespace, home: Home) -> Any:
    """Start a run and follow it."""
    if options.config and (options.preset or options.reward):
        raise ConfigError("--config says all that --preset and --reward would say. Give one or the other.")
    size = options.preset or "demo"
    config = read_config(options.config) if options.config else preset_config(size)
    if options.reward:
        config = with_changes(config, {"reward": reward_named(home, options.reward).model_dump()})
    config = with_changes(_with_data(config, options, home), _changes(options))
    run = jobs.start(home, config, prefix="run" if options.config else size)
    if options.detach:
        return _started(run, options)
    if not options.json:
        print(f"Run {run.id} in {run.folder}")
    return _follow(run, options)


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
    model = config.model if options.config else data.manifest.draft.model
    return with_changes(run_config(config, data), {"model": model})


def _started(run: Run, options: argparse.Namespace) -> Any:
    if not options.json:
        print(f"Run {run.id} has started. Look at it with: python -m core show {run.id}")
    return {"run": run.id, "folder": str(run.folder)}


def _follow(run: Run, options: argparse.Namespace) -> Any:
    """Print a run's events until it ends; Ctrl-C asks the run to stop and keeps following."""
    tail = EventTail(run.events)
    live = True
    while live:
        try:
            live = run.status().live
            for event in tail.read():
                if not options.json:
                    _print_event(event)
            if live:
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            print("Stopping after this step; the run keeps its checkpoint.", file=sys.stderr)
            jobs.stop(run)
    status = run.status()
    if status.state in ("failed", "interrupted"):
        raise StudioError(run.summary())
    return _show(run, options)


def _print_event(event: Event) -> None:
    if event.kind == "metrics":
        m = Metrics.of(event)
        print(
            f"step {m.step:4d}  reward {m.reward:+.3f}  "
            + "  ".join(f"{name} {value:.2f}" for name, value in m.components.items())
            + f"  well-formed {m.well_formed:4.0%}  {m.completion_tokens:.0f} tokens  {m.step_seconds:.1f} s",
            flush=True,
        )
    elif event.kind == "alert":
        print(f"Note: {event.data['message']}", flush=True)


def runs(options: argparse.Namespace, home: Home) -> Any:
    """All runs, the newest first."""
    rows = []
    for run in list_runs(home):
        status, rewards = run.status(), [m.reward for m in latest_metrics(read_events(run.events))]
        rows.append(
            {
                "run": run.id,
                "state": status.state,
                "step": status.step,
                "steps": status.steps,
                "seconds": status.trained_seconds,
                "reward": rewards[-1] if rewards else None,
            }
        )
        if not options.json:
            print(
                f"{run.id:32} {status.state:12} {status.step:5d}/{status.steps:<5d} "
                f"{duration(status.trained_seconds):>9}  {sparkline(rewards)}"
            )
    if not rows and not options.json:
        print("There are no runs yet. Start one with: python -m core train --preset demo")
    return rows


def show(options: argparse.Namespace, home: Home) -> Any:
    """One run: state, curve, held-out answers."""
    return _show(find_run(home, options.run), options)


def _show(run: Run, options: argparse.Namespace) -> Any:
    metrics, answers = latest_metrics(read_events(run.events)), held_out(run)
    if options.json:
        return {
            "run": run.id,
            "status": asdict(run.status()),
            "summary": run.summary(),
            "metrics": [asdict(m) for m in metrics],
            "held_out": [asdict(answer) for answer in answers],
        }
    print(f"\n{run.id}: {run.summary()}")
    if metrics:
        print(sparkline([m.reward for m in metrics], width=60))
        quarter = max(1, len(metrics) // 4)
        for name, first, last in (
            ("mean reward", *_ends([m.reward for m in metrics], quarter)),
            ("well-formed", *_ends([m.well_formed for m in metrics], quarter)),
        ):
            print(f"{name}: {first:.2f} in the first quarter of the steps, {last:.2f} in the last")
    print(*summarise(answers), sep="\n")
    return None


def _ends(values: Sequence[float], quarter: int) -> tuple[float, float]:
    return sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter


def stop(options: argparse.Namespace, home: Home) -> Any:
    """Ask a run to stop."""
    run = find_run(home, options.run)
    jobs.stop(run)
    if not options.json:
        print(f"{run.id} stops after its current step and keeps its checkpoint.")
    return {"run": run.id, "state": "stopping"}


def resume(options: argparse.Namespace, home: Home) -> Any:
    """Go on with a run."""
    run = find_run(home, options.run)
    jobs.resume(home, run)
    return _started(run, options)


def _opened_scorer(reward: RewardConfig, tags: Tags, home: Home) -> AbstractContextManager[Scorer]:
    from transformers.utils.logging import disable_progress_bar

    from core.engine.scorers import opened_scorer

    disable_progress_bar()
    return opened_scorer(reward, tags, home)
