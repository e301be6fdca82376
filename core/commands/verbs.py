"""What the verbs of the command line have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from core.errors import StudioError
from core.jobs import supervisor
from core.jobs.folder import JobFolder, Status
from core.jobs.tasks import Task
from core.paths import Home

Verb = Callable[[argparse.Namespace, Home], Any]
"""Does the work and returns what `--json` prints; None when it has printed all there is."""

_LOOK_SECONDS = 0.3
_GONE_SECONDS = 30.0


def add_verb(verbs: Any, name: str, action: Verb, help_text: str) -> argparse.ArgumentParser:
    """A parser for one verb, with the options that every verb has; `verbs` is what `add_subparsers` returned."""
    sub: argparse.ArgumentParser = verbs.add_parser(name, help=help_text, description=help_text)
    sub.add_argument("--home", metavar="DIR", help="home folder (default: GRPO_STUDIO_HOME, else workspace/)")
    sub.add_argument("--json", action="store_true", help="JSON on standard output")
    sub.set_defaults(verb=action)
    return sub


def add_run_verb(verbs: Any, name: str, action: Verb, help_text: str) -> argparse.ArgumentParser:
    """A parser for a verb that acts on one run."""
    parser = add_verb(verbs, name, action, help_text)
    parser.add_argument("run", metavar="RUN", help="run id, or 'last'")
    return parser


def finish_task(home: Home, kind: str, arguments: Mapping[str, Any]) -> Any:
    """Start a task, say on standard error what it is busy with, and return its result; Ctrl-C asks it to stop.

    Raises:
        StudioError: the task failed or was stopped; the message says why.
    """
    return follow_task(supervisor.start_task(home, kind, arguments))


def follow_task(task: Task) -> Any:
    """Say on standard error what a task is busy with until it ends, and return its result; raises as `finish_task`."""
    phase = ""
    while (status := _look(task)).live:
        if status.phase not in ("", phase):
            phase = status.phase
            print(f"{phase} …", file=sys.stderr, flush=True)
    until_gone(task)
    if status.state == "finished":
        return task.result()
    if status.state == "stopped":
        raise StudioError("Stopped before it was done; what was there before is as it was.")
    raise StudioError(status.error or f"The work was interrupted. Start it again; its log is {task.log}.")


def until_gone(job: JobFolder) -> None:
    """Wait until the process of a job that has come to its end is gone.

    It holds its memory until then, so a command that starts the next job would be told that there is no room.
    """
    with suppress(KeyboardInterrupt):
        supervisor.wait(job, _GONE_SECONDS)


def _look(task: Task) -> Status:
    try:
        return supervisor.wait(task, _LOOK_SECONDS)
    except KeyboardInterrupt:
        print("Stopping.", file=sys.stderr)
        task.stop_request.touch()
        return task.status()
