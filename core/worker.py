"""The job process: `python -m core.worker RUN_DIRECTORY HOME`.

It says which process it is before it imports anything heavy, and leaves the run in a state that says what happened,
whatever happens.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import FrameType

import psutil

from core.errors import StorageError, StudioError
from core.events import EventWriter
from core.paths import Home, storage_error
from core.runs import Run


def main(folder: Path, root: Path) -> int:
    """Run the job of the run in `folder`. Returns the process's exit code."""
    run, home = Run(folder), Home(root)
    _say_hello(run)
    _stop_on_signals(run)
    try:
        from core.engine.training import train

        train(run, home)
    except StudioError as error:
        return _failed(run, str(error))
    except OSError as error:
        known = storage_error(error, folder)
        if known is None:
            traceback.print_exc()
        return _failed(run, str(known or f"The operating system refused: {error}. See worker.log."))
    except MemoryError:
        return _failed(run, "There is not enough memory. Use fewer prompts a step or shorter completions, then resume.")
    except Exception as error:  # a defect of the studio: the log has the traceback, the user one sentence
        traceback.print_exc()
        return _failed(run, f"The job met an error it does not know ({type(error).__name__}: {error}). See worker.log.")
    return 0


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
    print(f"The run failed: {message}", file=sys.stderr)
    status = replace(run.written_status(), state="failed", error=message, eta_seconds=None, updated=time.time())
    try:
        run.write_status(status)
        events = EventWriter(run.events)
        events.write("error", status.step, {"message": message})
        events.close()
    except StorageError as error:
        print(error, file=sys.stderr)
    return 2


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
