"""Answers HTTP on the loopback address for as long as the server is needed."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from core.errors import ModelError
from core.jobs.tasks import Progress
from core.ports import LOOPBACK
from core.serving.lifetime import Lifetime, write_address

_LOOK_SECONDS = 1.0
_END_SECONDS = 3
"""How long answers that are being sent may take to end once the server does."""
_HUNG_UP = 499
"""The status, which nobody reads any more, of a request whose sender has left; nginx's number."""


class Clock:
    """When the server was last asked something; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._last = time.time()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Stands around a request until the last of its answer has been sent."""
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                self._last = time.time()

    def __call__(self) -> float:
        """Seconds since 1970; now while a request is open."""
        with self._lock:
            return time.time() if self._open else self._last


def host(app: Starlette, token: str, progress: Progress, asked: Callable[[], float], port: int = 0) -> dict[str, Any]:
    """Answer requests until the server is not needed any more.

    Args:
        asked: when the server was last asked something, in seconds since 1970.
        port: of the loopback address; 0 takes any free one.

    Returns:
        Why it ended, as a task's result.

    Raises:
        ModelError: the port is taken.
        TaskStopped: it was asked to stop.
    """
    with listening(port) as own, running(app, own):
        write_address(progress.folder, f"http://{LOOPBACK}:{own.getsockname()[1]}", token)
        lifetime = Lifetime(progress.folder)
        while not lifetime.over(asked()):
            progress("ready")
            time.sleep(_LOOK_SECONDS)
        return {"ended": lifetime.reason}


def while_alive(process: subprocess.Popen[bytes], asked: Callable[[], float], ended: str) -> Callable[[], float]:
    """What `asked` tells while the process lives that answers; once it has ended, a `ModelError` that says `ended`."""

    def told() -> float:
        if process.poll() is not None:
            raise ModelError(ended)
        return asked()

    return told


async def unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """What `work` makes; it is given up when whoever asked hangs up. The request has been read to its end before."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else Response(status_code=_HUNG_UP)
    finally:
        working.cancel()
        leaving.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """A socket of the loopback address; opened here and handed on, so that nobody takes the port in between.

    It listens, so whoever asks before the server is up waits instead of being refused.

    Raises:
        ModelError: the port is taken.
    """
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((LOOPBACK, port))
            own.listen()
        except OSError as error:
            raise ModelError(
                f"The port {port} of {LOOPBACK} cannot be used ({error.strerror}). Choose another one, or 0 for any "
                "that is free."
            ) from error
        yield own


@contextmanager
def running(app: Starlette, own: socket.socket) -> Iterator[None]:
    """Answer requests on a bound socket in a thread of its own for the length of a `with` block."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            ws="none",
            timeout_graceful_shutdown=_END_SECONDS,
            lifespan="off",
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [own]}, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2 * _END_SECONDS)
