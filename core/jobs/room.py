"""Whether there is room for one more run: what the jobs that are there hold of the machine.

A run and a pre-flight hold their place until their process has ended, since only then it gives its memory back. Servers
hold none: they are ended to make room (`core.jobs.server_tasks`).
"""

from __future__ import annotations

from core.config import RunConfig
from core.errors import Busy
from core.jobs.cml_jobs import workspace_job
from core.jobs.folder import JobFolder, Status
from core.jobs.launchers import runs_here
from core.jobs.places import Places
from core.jobs.tasks import TRIAL, Task, tasks_of
from core.paths import Home
from core.runs.run import Run, list_runs


def room(
    home: Home, config: RunConfig, places: Places | None = None, besides: Run | None = None
) -> tuple[str, ...] | None:
    """The GPUs for a run that asks for `config`, none where it would compute on the processor; None without room.

    Args:
        home: whose runs and pre-flights count.
        places: what this machine has; looked up when not given, and then a run that would be started elsewhere always
            has room.
        besides: a run that does not count, since `start_job` waits until its last job has ended.

    Raises:
        ConfigError: the run needs more GPUs than there are.
    """
    if places is None and not runs_here():
        return ()
    held = [status.gpus for job_id, status in _holding(home).items() if besides is None or job_id != besides.id]
    return (places or Places.of_this_machine()).free(config, held)


def refuse_busy(
    home: Home, config: RunConfig, places: Places | None = None, besides: Run | None = None
) -> tuple[str, ...]:
    """What `room` returns.

    Raises:
        Busy: there is no room for one more run.
        ConfigError: the run needs more GPUs than there are.
    """
    gpus = room(home, config, places, besides)
    if gpus is None:
        places = places or Places.of_this_machine()
        holding = _holding(home)
        first = next(iter(holding), "Another run")
        doing = "still ending" if first in holding and not holding[first].live else "running"
        raise Busy(
            f"{first} is {doing} and this machine has {places}, room for {places.count} run(s) at a time; a second "
            "would only slow both down. Add this run to the queue, wait until the other ends, or stop that one."
        )
    return gpus


def gpu_for_a_task(home: Home) -> tuple[str, ...]:
    """A GPU that no run holds, else the first; tasks and runs may share one."""
    places = Places.of_this_machine()
    taken = {gpu for status in _holding(home).values() for gpu in status.gpus}
    return tuple([gpu for gpu in places.gpus if gpu not in taken] or places.gpus)[:1]


def ending(home: Home) -> list[JobFolder]:
    """Jobs that have said how they ended and whose process still holds its memory."""
    found = [(job, job.status()) for job in needing_room(home)]
    return [job for job, status in found if not status.live and job.process(status) is not None]


def _holding(home: Home) -> dict[str, Status]:
    """The jobs that take the room of a run, each until its process has given its memory back."""
    found = [(job, job.status()) for job in needing_room(home) if workspace_job(job.folder) is None]
    return {job.id: status for job, status in found if status.live or job.process(status) is not None}


def needing_room(home: Home) -> list[Run | Task]:
    """The jobs that take the room of a run, live or not: runs, and tasks that try one."""
    return [*list_runs(home), *tasks_of(home, TRIAL)]
