"""The queue: runs that wait until this machine has room for them.

A run that waits is a run directory in the state `queued` with a ticket; nothing else is kept. The next one is started
by a light process that every ending run and pre-flight leaves behind, and by whoever looks at runs (`go_on`), so a
queue goes on without a browser, after a failed run and after a kill. `python -m core.jobs.queue FOLDER HOME` is that
light process: it waits until the job in FOLDER has given its memory back.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from core.access import audit
from core.access.permissions import allow
from core.access.starters import remember_starter, starter_of
from core.config import RunConfig
from core.errors import ConfigError, RunError, StorageError, StudioError
from core.jobs import launchers
from core.jobs.folder import JobFolder
from core.jobs.places import starters_environment
from core.jobs.readiness import ready, refuse_unready
from core.jobs.room import ending, room
from core.jobs.spawning import detached
from core.jobs.supervisor import make_run, one_starter, refuse_unresumable, settle, start_job
from core.paths import Home
from core.quotas import refuse_full, refuse_many
from core.runs.run import Run, list_runs
from core.secrets import hide_environment

_END_SECONDS = 120.0


def enqueue(home: Home, config: RunConfig, prefix: str = "run") -> Run:
    """Check a run as `core.jobs.supervisor.start` does, and put it at the end of the queue.

    Raises:
        AccessDenied: whoever acts now may not.
        StudioError: what the run needs is missing or wrong.
    """
    allow("train.start")
    checked = ready(home, config)
    refuse_full(home)
    with one_starter(home):
        refuse_many(home)
        run = make_run(home, checked, prefix)
        _take_ticket(home, run)
    audit.record(home, "train.start", run.id, queued=True)
    return run


def add(home: Home, run: Run) -> None:
    """Put a stopped, failed or interrupted run at the end of the queue; it then goes on from its last checkpoint.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: the run is live, waits already, or is finished.
        StudioError: what it needs is missing or has changed.
    """
    allow("train.start")
    refuse_full(home)
    with one_starter(home):
        refuse_unresumable(run)
        refuse_unready(home, run.config(), run)
        refuse_many(home, besides=run)
        remember_starter(run.folder)
        _take_ticket(home, run)
    audit.record(home, "train.start", run.id, queued=True, resumed=True)


def remove(home: Home, run: Run) -> None:
    """Take a run out of the queue; it counts as stopped, and can be resumed or queued again.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: it does not wait there.
    """
    allow("train.stop", owner=starter_of(run.folder))
    with one_starter(home):
        state = run.status().state
        if state != "queued":
            raise RunError(f"{run.id} does not wait in the queue: it is {state}.")
        settle(run, "stopped")
    audit.record(home, "queue.leave", run.id)


def waiting(home: Home) -> list[Run]:
    """The runs in the queue, the next one first."""
    found = [(run.written_status(), run) for run in list_runs(home)]
    queued = [(status.ticket, run) for status, run in found if status.state == "queued"]
    return [run for _, run in sorted(queued, key=lambda pair: pair[0])]


def start_next(home: Home) -> Run | None:
    """Start the run whose turn it is, when there is room for it; returns it.

    One that cannot start any more fails with the reason and makes way. On a full disk it goes on waiting, and so do all
    of them where the launcher that the environment names does not work here; the first says why.

    Raises:
        RunError: another start went on for a long time.
    """
    with one_starter(home):
        return _start_next(home)


def start_all(home: Home) -> list[Run]:
    """Start the runs whose turn it is until there is no more room; returns them."""
    begun: list[Run] = []
    while run := start_next(home):
        begun.append(run)
    return begun


def go_on(home: Home) -> None:
    """Start what can be started, at a look at the runs; does nothing while somebody else does the same."""
    if not waiting(home):
        return
    with suppress(RunError), one_starter(home, seconds=0):
        while _start_next(home):
            pass


def hand_on(home: Home, job: JobFolder) -> None:
    """Leave a light process behind that starts the next run once the process of `job` has ended."""
    if waiting(home):
        detached("core.jobs.queue", job, home, starters_environment())


def _start_next(home: Home) -> Run | None:
    runs = waiting(home)
    try:
        launchers.runs_here()
    except ConfigError as error:  # no fault of theirs
        for run in runs[:1]:
            _say_why_it_waits(run, str(error))
        return None
    for run in runs:
        try:
            config = run.config()
            gpus = room(home, config)
            if gpus is None:
                _say_why_it_waits(run, "")  # what stood in its way before does so no more
                return None  # a later one that would fit has to wait too: the order is kept
            refuse_unready(home, config, run)
            start_job(home, run, gpus)
        except StorageError as error:
            _say_why_it_waits(run, str(error))
            return None
        except StudioError as error:
            settle(run, "failed", str(error))
        else:
            return run
    return None


def _say_why_it_waits(run: Run, reason: str) -> None:
    status = run.written_status()
    if status.error != reason:
        run.write_status(replace(status, error=reason))


def _take_ticket(home: Home, run: Run) -> None:
    """Let the run wait, behind all others. A last job of its own that has not quite ended is still named."""
    last = max((other.written_status().ticket for other in waiting(home)), default=0)
    status = replace(run.written_status(), state="queued", error="", ticket=last + 1)
    run.write_status(replace(status, eta_seconds=None, updated=time.time()))
    for job in ending(home):  # it may have looked for runs that wait before this one came
        hand_on(home, job)


def main(folder: Path, root: Path) -> None:
    """Wait until the process of the job in `folder` has ended, then start what can be started."""
    hide_environment()
    job = JobFolder(folder)
    process = job.process(job.written_status())
    if process is not None:
        psutil.wait_procs([process], timeout=_END_SECONDS)
    try:
        start_all(Home(root))
    except StudioError as error:
        print(f"The next run in the queue could not be started: {error}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
