"""A stand-in of a sign-in service: a proxy that says in the header `Remote-User` who asks, whatever was said before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

_PIECE = 65_536


class SignInProxy:
    """Passes every request on to a server of this machine as if one person had made it."""

    def __init__(self, port: int, name: str) -> None:
        self._to = port
        self._name = name
        self.url = ""

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError), closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            behind, before = await asyncio.open_connection("127.0.0.1", self._to)
            with closing(before):
                before.write(self._signed(head))
                await asyncio.gather(_pipe(reader, before), _pipe(behind, writer))

    def _signed(self, head: bytes) -> bytes:
        """The head of a request with the person's name; only a WebSocket's connection carries more than one request."""
        first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
        upgrade = any(line.lower().startswith(b"upgrade:") for line in lines)
        gone = (b"remote-user:", *(() if upgrade else (b"connection:",)))
        kept = [line for line in lines if not line.lower().startswith(gone)]
        once = [] if upgrade else [b"Connection: close"]
        return b"\r\n".join([first, *kept, *once, b"Remote-User: " + self._name.encode(), b"", b""])


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        writer.close()


@contextmanager
def signed_in(port: int, *names: str) -> Iterator[tuple[str, ...]]:
    """The addresses at which a server of this machine is asked by each of these people."""
    proxies = [SignInProxy(port, name) for name in names]
    ready = threading.Event()
    ends: list[Callable[[], object]] = []

    async def work() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        ends.append(partial(loop.call_soon_threadsafe, ended.set))
        servers = [await proxy.serve() for proxy in proxies]
        ready.set()
        await ended.wait()
        for server in servers:
            server.close()

    thread = threading.Thread(target=asyncio.run, args=(work(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield tuple(proxy.url for proxy in proxies)
    ends[0]()
    thread.join(10)
