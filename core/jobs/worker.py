"""The job process: `python -m core.jobs.worker FOLDER HOME`, where FOLDER is that of a training run or of a task.

It says which process it is before it imports anything heavy, and leaves the job in a state that says what happened,
whatever happens.
"""

from __future__ import annotations

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

from core.errors import OutOfMemory, StorageError, StudioError, lacks_memory
from core.jobs import queue
from core.jobs.folder import JobFolder
from core.jobs.tasks import REQUEST, TRIAL, Task, perform
from core.paths import Home, disk_full, storage_error
from core.runs.events import EventWriter
from core.runs.run import Run
from core.scrubbing import scrub_output, scrubbed
from core.secrets import hide_environment

_FULL_BYTES = 1_000_000
_RESERVE_BYTES = 65_536
_LOCK_SECONDS = 5.0
"""How long a job waits for its lock: whoever looks whether it is held takes it for a moment."""
_SMALLER_RUN = "Choose fewer prompts a step or shorter completions for a new run,"


def main(folder: Path, root: Path) -> int:
    """Run the job in `folder`. Returns the process's exit code."""
    hide_environment()  # what other jobs run may be code of the user's
    scrub_output()
    home = Home(root)
    job = Task(folder) if (folder / REQUEST).is_file() else Run(folder)
    try:
        with FileLock(job.writer_lock, timeout=_LOCK_SECONDS):
            code = _work(job, home)
    except Timeout:
        print("Another process works on this job already.", file=sys.stderr)
        return 2
    if isinstance(job, Run) or job.kind() == TRIAL:
        queue.hand_on(home, job)
    return code


def _work(job: Task | Run, home: Home) -> int:
    _say_hello(job)
    _stop_on_signals(job)
    try:
        _tidy(job)
        _take_reserve(job)
        _perform(job, home)
    except StudioError as error:
        return _failed(job, str(error), isinstance(error, OutOfMemory))
    except Exception as error:
        code = _failed(job, _sentence(error, job), lacks_memory(error))
        with suppress(OSError):  # no room for the log either
            traceback.print_exc()
        return code
    finally:
        _reserve(job).unlink(missing_ok=True)
    return 0


def _perform(job: Task | Run, home: Home) -> None:
    if isinstance(job, Task):
        perform(job, home)
        return
    from core.engine.start import train

    train(job, home)


def _sentence(error: Exception, job: Task | Run) -> str:
    """What the user is told of an error that no part of the studio raised on purpose; the log has its traceback."""
    known = storage_error(error, job.log) if isinstance(error, OSError) else None
    if psutil.disk_usage(str(job.folder)).free < _FULL_BYTES:  # PyTorch only says that a stream failed
        known = disk_full(job.folder)
    if lacks_memory(error):
        remedy = "Close other programs" if isinstance(job, Task) else _SMALLER_RUN
        return f"There is not enough memory. {remedy} and try again."
    return str(known or f"The job met an error it does not know ({type(error).__name__}: {error}). See worker.log.")


def _tidy(job: Task | Run) -> None:
    """Remove checkpoints whose writing broke off: of no use, and on a full disk in the way."""
    if isinstance(job, Run):
        _reserve(job).unlink(missing_ok=True)
        for half in job.half_written_checkpoints():
            shutil.rmtree(half, ignore_errors=True)


def _take_reserve(job: Task | Run) -> None:
    if isinstance(job, Run):
        with suppress(OSError):  # then the disk is full already
            _reserve(job).write_bytes(bytes(_RESERVE_BYTES))


def _reserve(job: JobFolder) -> Path:
    """A file that only takes up room, which a job that meets a full disk gives away for its last words."""
    return job.folder / "control" / "reserve"


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


def _failed(job: Task | Run, message: str, out_of_memory: bool) -> int:
    _tidy(job)  # makes room for the status
    message = scrubbed(message)
    status = job.written_status()
    ended = replace(status, state="failed", error=message, out_of_memory=out_of_memory, eta_seconds=None)
    with suppress(StorageError, OSError):
        job.write_status(replace(ended, updated=time.time()))
        if isinstance(job, Run):
            events = EventWriter(job.events)
            events.write("error", status.step, {"message": message})
            events.close()
        print(f"The job failed: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
