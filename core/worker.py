"""The job process: `python -m core.worker FOLDER HOME`, where FOLDER is that of a training run or of a task.

It says which process it is before it imports anything heavy, and leaves the job in a state that says what happened,
whatever happens.
"""

from __future__ import annotations

import re
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

import psutil
from filelock import FileLock, Timeout

from core.errors import StorageError, StudioError
from core.events import EventWriter
from core.job_folder import JobFolder
from core.paths import Home, disk_full, storage_error
from core.runs import Run
from core.tasks import REQUEST, Task, perform

_FULL_BYTES = 1_000_000
_SMALLER_RUN = "Choose fewer prompts a step or shorter completions for a new run,"


def main(folder: Path, root: Path) -> int:
    """Run the job in `folder`. Returns the process's exit code."""
    home = Home(root)
    job = Task(folder) if (folder / REQUEST).is_file() else Run(folder)
    try:
        with FileLock(folder / "control" / "writer.lock", timeout=0):
            return _work(job, home)
    except Timeout:
        print("Another process works on this job already.", file=sys.stderr)
        return 2


def _work(job: Task | Run, home: Home) -> int:
    _say_hello(job)
    _stop_on_signals(job)
    try:
        _perform(job, home)
    except StudioError as error:
        return _failed(job, str(error))
    except Exception as error:
        code = _failed(job, _sentence(error, job))
        with suppress(OSError):  # no room for the log either
            traceback.print_exc()
        return code
    return 0


def _perform(job: Task | Run, home: Home) -> None:
    if isinstance(job, Task):
        perform(job, home)
        return
    from core.engine.training import train

    train(job, home)


def _sentence(error: Exception, job: Task | Run) -> str:
    """What the user is told of an error that no part of the studio raised on purpose; the log has its traceback."""
    known = storage_error(error, job.log) if isinstance(error, OSError) else None
    if psutil.disk_usage(str(job.folder)).free < _FULL_BYTES:  # PyTorch only says that a stream failed
        known = disk_full(job.folder)
    if isinstance(error, MemoryError) or re.search("out of memory|can't allocate memory", str(error)):
        remedy = "Close other programs" if isinstance(job, Task) else _SMALLER_RUN
        return f"There is not enough memory. {remedy} and try again."
    return str(known or f"The job met an error it does not know ({type(error).__name__}: {error}). See worker.log.")


def _say_hello(job: JobFolder) -> None:
    me = psutil.Process()
    status = replace(
        job.written_status(),
        state="running",
        phase="loading",
        pid=me.pid,
        created=me.create_time(),
        updated=time.time(),
    )
    job.write_status(status)


def _stop_on_signals(job: JobFolder) -> None:
    """SIGTERM and SIGINT ask for the same as the stop button, so that a checkpoint is saved."""

    def request_stop(number: int, frame: FrameType | None) -> None:
        job.stop_request.touch()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)


def _failed(job: Task | Run, message: str) -> int:
    if isinstance(job, Run):
        for half in job.half_written_checkpoints():  # of no use, and on a full disk in the way of the status
            shutil.rmtree(half, ignore_errors=True)
    status = replace(job.written_status(), state="failed", error=message, eta_seconds=None, updated=time.time())
    with suppress(StorageError, OSError):
        job.write_status(status)
        if isinstance(job, Run):
            events = EventWriter(job.events)
            events.write("error", status.step, {"message": message})
            events.close()
        print(f"The job failed: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
