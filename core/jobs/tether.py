"""`python -m core.jobs.tether COMMAND ...`: runs a command that must not outlive whoever started it.

The starter holds the other end of this process's standard input. When it closes, because the starter has ended in
whatever way, the command and everything it has started are killed; so are leftovers when the command ends by itself.
Standard library, psutil and `core.secrets` only, so that it costs little.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import psutil

from core.secrets import hide_environment

_PR_SET_CHILD_SUBREAPER = 36


def main(command: Sequence[str]) -> int:
    """Run the command to its end; returns its exit code."""
    hide_environment()  # its own; the command it runs is readable, so whoever starts it keeps secrets out
    _adopt_orphans()
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        if child is None:  # it is just being started
            _end_all()
            os._exit(128 + number)
        child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    code = child.wait()
    _end_all()
    return code if code >= 0 else 128 - code


def _adopt_orphans() -> None:
    """What a process leaves behind becomes a child of this one, where Linux allows it, and can be found."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # such as a C library without prctl
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _end_all()


def _end_all() -> None:
    """Kill all descendants, those that appear meanwhile too."""
    while left := [one for one in psutil.Process().children(recursive=True) if _alive(one)]:
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=1.0)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
