"""A child process that answers requests, one JSON object a line, and is stopped when it takes too long.

The studio's keys and tokens are not in its environment, and it has no input. What it prints is kept up to a limit,
apart from its answers. This guards against mistakes, runaway loops and chatty logs; it is no prison. Its code runs with
the user's rights and can read whatever the user can, keys in files included: use only files you trust.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from core.secrets import hide_environment, longest_secret, masked

OUTPUT_LIMIT = 20_000
"""How many characters of what the child prints are kept."""

_ANSWER_LIMIT = 256_000_000
_CHUNK = 1 << 16
_KEPT_BYTES = 4 * OUTPUT_LIMIT
_DRAIN_CHUNKS = 64
_EXIT_SECONDS = 5.0


class ChildEnded(Exception):
    """The child ended without an answer; `code` as in `subprocess.Popen.returncode`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ChildTooSlow(Exception):
    """The child did not answer in time."""


class ChildProcess:
    """A Python file that runs as a process of its own, in a session of its own.

    The file is given the numbers of two pipes, for requests and answers, as its first arguments.
    """

    def __init__(self, file: Path, arguments: Sequence[str]) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="reward-", ignore_cleanup_errors=True)
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        self._printed, printed = os.pipe()
        self._output = bytearray()
        hide_environment()  # else the child reads it in /proc
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-u", str(file), str(requests), str(answers), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=(requests, answers),
            cwd=self._home.name,
            env=_environment(self._home.name),
            start_new_session=True,
        )
        for descriptor in (requests, answers, printed):
            os.close(descriptor)
        for descriptor in (self._requests, self._answers, self._printed):
            os.set_blocking(descriptor, False)

    def ask(self, request: Mapping[str, Any] | None, seconds: float) -> Any:
        """Send `request`, or nothing, and return the next answer.

        Raises:
            ChildEnded: there will be no answer.
            ChildTooSlow: there was none after so many seconds.
            ValueError: the answer is not JSON.
        """
        left = memoryview(b"" if request is None else json.dumps(request).encode() + b"\n")
        answer = bytearray()
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            selector.register(self._printed, selectors.EVENT_READ)
            if left:
                selector.register(self._requests, selectors.EVENT_WRITE)
            while not answer.endswith(b"\n"):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise ChildTooSlow
                for key, _ in selector.select(remaining):
                    if key.fd == self._requests:
                        left = left[self._send(left) :]
                        if not left:
                            selector.unregister(self._requests)
                    elif key.fd == self._answers:
                        answer += self._receive()
                        if len(answer) > _ANSWER_LIMIT:
                            raise ValueError("the answer is too long")
                    elif not self._take_output():
                        selector.unregister(self._printed)
        return json.loads(answer)

    @property
    def output(self) -> str:
        """What the child has printed so far, with secrets masked and cut at `OUTPUT_LIMIT`."""
        if self._requests >= 0:
            self._drain()
        text = masked(self._output.decode("utf-8", "replace"))
        if len(self._output) == _KEPT_BYTES:  # what comes last may be the beginning of a secret
            text = text[: len(text) - longest_secret()]
        return text[:OUTPUT_LIMIT]

    def close(self) -> None:
        """End the child and whatever it has started, at once; what it printed can still be read."""
        if self._requests < 0:
            return
        left = self._descendants()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in left:  # some may have a session of their own
            with suppress(psutil.Error):
                process.kill()
        self._process.wait()
        self._drain()
        for descriptor in (self._requests, self._answers, self._printed):
            os.close(descriptor)
        self._requests = -1
        self._home.cleanup()

    def _descendants(self) -> list[psutil.Process]:
        """The child, which is stopped so that it starts no more, and all that it has started."""
        if self._process.returncode is not None:  # its number may be another process's by now
            return []
        try:
            child = psutil.Process(self._process.pid)
            child.suspend()
            return [child, *child.children(recursive=True)]
        except psutil.Error:  # it has ended
            return []

    def _send(self, content: memoryview) -> int:
        try:
            return os.write(self._requests, content[:_CHUNK])
        except BrokenPipeError:  # the end of the answers tells the rest
            return len(content)

    def _receive(self) -> bytes:
        chunk = os.read(self._answers, _CHUNK)
        if chunk:
            return chunk
        try:
            code = self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:  # it has closed the pipe and goes on
            raise ChildTooSlow from None
        raise ChildEnded(code)

    def _drain(self) -> None:
        for _ in range(_DRAIN_CHUNKS):  # something may be printing without end
            if not self._take_output():
                break

    def _take_output(self) -> bool:
        """Read some of what was printed; False when there is nothing now."""
        try:
            chunk = os.read(self._printed, _CHUNK)
        except BlockingIOError:
            return False
        self._output += chunk[: _KEPT_BYTES - len(self._output)]
        return bool(chunk)


def _environment(home: str) -> dict[str, str]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": home,
        "CUDA_VISIBLE_DEVICES": "",  # the training has the GPU
        "TOKENIZERS_PARALLELISM": "false",
        **threads,
    }
