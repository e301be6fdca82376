"""The verbs that act on a training run: stop, pause, continue, resume, weights, queue."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from core.commands.follow import started
from core.commands.verbs import add_run_verb, add_verb
from core.errors import ConfigError
from core.jobs import queue, supervisor
from core.paths import Home
from core.runs.run import find_run
from core.training import control


def add_control_verbs(verbs: Any) -> None:
    """Add the verbs to what `add_subparsers` returned."""
    ending = add_run_verb(verbs, "stop", stop, "Ask a run to stop after its current step; it saves a checkpoint.")
    ending.add_argument("--now", action="store_true", help="end it at once; what its last checkpoint lacks is lost")
    add_run_verb(verbs, "pause", pause, "Ask a run to wait after its current step; it keeps its models in memory.")
    add_run_verb(verbs, "continue", go_on, "Let a paused run go on.")
    again = add_run_verb(verbs, "resume", resume, "Go on with a stopped, failed or interrupted run.")
    again.add_argument("--queue", action="store_true", help="when there is room for it")
    moved = add_run_verb(verbs, "weights", weights, "Show or change the reward weights of a live run.")
    moved.add_argument("weights", nargs="*", metavar="NAME=WEIGHT", help="components to change, from the next step on")
    listed = add_verb(verbs, "queue", show_queue, "Show the runs that wait for their turn, and start those that can.")
    listed.add_argument("--add", metavar="RUN", help="queue a stopped, failed or interrupted run")
    listed.add_argument("--remove", metavar="RUN", help="take a run out of the queue; it counts as stopped then")


def stop(options: argparse.Namespace, home: Home) -> Any:
    """Ask a run to stop, or end it at once; one that waits in the queue leaves it."""
    run = find_run(home, options.run)
    if run.status().state == "queued":
        queue.remove(home, run)
    elif options.now:
        supervisor.stop_now(run)
        queue.go_on(home)
    else:
        supervisor.stop(run)
        if not options.json:
            print(f"{run.id} stops after its current step and keeps its checkpoint.")
        return {"run": run.id, "state": "stopping"}
    if not options.json:
        print(f"{run.id}: {run.summary()}")
    return {"run": run.id, "state": run.status().state}


def pause(options: argparse.Namespace, home: Home) -> Any:
    """Ask a run to wait."""
    run = find_run(home, options.run)
    control.pause(run)
    if not options.json:
        print(f"{run.id} pauses after its current step. Go on with: python -m core continue {run.id}")
    return {"run": run.id, "state": "pausing"}


def go_on(options: argparse.Namespace, home: Home) -> Any:
    """Let a paused run go on."""
    run = find_run(home, options.run)
    control.unpause(run)
    if not options.json:
        print(f"{run.id} goes on.")
    return {"run": run.id, "state": "running"}


def resume(options: argparse.Namespace, home: Home) -> Any:
    """Go on with a run."""
    run = find_run(home, options.run)
    if options.queue:
        queue.add(home, run)
        queue.start_next(home)
    else:
        supervisor.resume(home, run)
    return started(run, options)


def weights(options: argparse.Namespace, home: Home) -> Any:
    """The reward weights of a run; with some given, asks for those and leaves the others as they are."""
    run = find_run(home, options.run)
    wanted = control.latest_weights(run)
    if options.weights:
        wanted = wanted | _weights_of(options.weights)
        control.change_weights(run, wanted)
    if not options.json:
        print(*(f"{name} {weight:g}" for name, weight in wanted.items()), sep="\n")
        if options.weights:
            print("They count from the next step that is scored.")
    return {"run": run.id, "weights": wanted}


def show_queue(options: argparse.Namespace, home: Home) -> Any:
    """The runs that wait, after those that can start have been started."""
    if options.remove:
        queue.remove(home, find_run(home, options.remove))
    if options.add:
        queue.add(home, find_run(home, options.add))
    begun = queue.start_all(home)
    waiting = queue.waiting(home)
    if not options.json:
        for run in begun:
            print(f"{run.id} has started.")
        for place, run in enumerate(waiting, start=1):
            print(f"{place:3d}  {run.id}  {run.written_status().error}".rstrip())
        if not waiting:
            print("No run waits for its turn.")
    return {"started": [run.id for run in begun], "queued": [run.id for run in waiting]}


def _weights_of(pairs: Sequence[str]) -> dict[str, float]:
    """The weights in NAME=WEIGHT.

    Raises:
        ConfigError: one of them is written otherwise.

    >>> _weights_of(["tags=0.3"])
    {'tags': 0.3}
    """
    found: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            found[name] = float(text)
        except ValueError as error:
            raise ConfigError(f"{pair!r} names no weight. Write it as NAME=WEIGHT, such as tags=0.3.") from error
    return found
