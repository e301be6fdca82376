"""Following a run in a terminal, from its start to its end."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from core.commands.runs import show_run
from core.commands.verbs import until_gone
from core.errors import StudioError
from core.jobs import supervisor
from core.runs.events import Event, EventTail, Metrics
from core.runs.run import Run

_POLL_SECONDS = 0.3


def started(run: Run, options: argparse.Namespace) -> Any:
    """Say that a run has started, or waits for its turn."""
    state = run.status().state
    if not options.json:
        what = "waits for its turn" if state == "queued" else "has started"
        print(f"Run {run.id} {what}. Look at it with: python -m core show {run.id}")
    return {"run": run.id, "folder": str(run.folder), "state": state}


def follow(run: Run, options: argparse.Namespace) -> Any:
    """Print a run's events until it ends; Ctrl-C asks the run to stop and keeps following.

    Raises:
        StudioError: the run failed or was interrupted.
    """
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
            supervisor.stop(run)
    until_gone(run)
    if run.status().state in ("failed", "interrupted"):
        raise StudioError(run.summary())
    return show_run(run, options)


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
