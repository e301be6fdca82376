"""The job process: `python -m core.worker RUN_DIRECTORY HOME`.

It says which process it is before it imports anything heavy, and leaves the run in a state that says what happened,
whatever happens.
"""

from __future__ import annotations

import os
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
from core.paths import Home, disk_full, storage_error
from core.runs import Run

_FULL_BYTES = 1_000_000


def main(folder: Path, root: Path) -> int:
    """Run the job of the run in `folder`. Returns the process's exit code."""
    run, home = Run(folder), Home(root)
    try:
        with FileLock(folder / "control" / "writer.lock", timeout=0):
            return _work(run, home)
    except Timeout:
        print("Another process works on this run already.", file=sys.stderr)
        return 2


def _work(run: Run, home: Home) -> int:
    _say_hello(run)
    _stop_on_signals(run)
    try:
        from core.engine.training import train

        train(run, home)
    except StudioError as error:
        return _failed(run, str(error))
    except Exception as error:
        code = _failed(run, _sentence(error, run))
        with suppress(OSError):  # no room for the log either
            traceback.print_exc()
        return code
    return 0


def _sentence(error: Exception, run: Run) -> str:
    """What the user is told of an error that no part of the studio raised on purpose; the log has its traceback."""
    known = storage_error(error, run.log) if isinstance(error, OSError) else None
    if psutil.disk_usage(str(run.folder)).free < _FULL_BYTES:  # PyTorch only says that a stream failed
        known = disk_full(run.folder)
    if isinstance(error, MemoryError) or re.search("out of memory|can't allocate memory", str(error)):
        return "There is not enough memory. Start a new run with fewer prompts a step or shorter completions."
    return str(known or f"The job met an error it does not know ({type(error).__name__}: {error}). See worker.log.")


def _say_hello(run: Run) -> None:
    me = psutil.Process()
    status = replace(
        run.written_status(),
        state="running",
        phase="loading",
        pid=me.pid,
        created=me.create_time(),
        updated=time.time(),
    )
    run.write_status(status)


def _stop_on_signals(run: Run) -> None:
    """SIGTERM and SIGINT ask for the same as the stop button, so that a checkpoint is saved."""

    def request_stop(number: int, frame: FrameType | None) -> None:
        run.stop_request.touch()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)


def _failed(run: Run, message: str) -> int:
    for half in run.half_written_checkpoints():  # of no use, and on a full disk in the way of the status
        shutil.rmtree(half, ignore_errors=True)
    status = replace(run.written_status(), state="failed", error=message, eta_seconds=None, updated=time.time())
    with suppress(StorageError, OSError):
        run.write_status(status)
        events = EventWriter(run.events)
        events.write("error", status.step, {"message": message})
        events.close()
        print(f"The run failed: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
