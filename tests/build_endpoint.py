"""A server on this machine that speaks chat completions, or misbehaves as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.serving.endpoint import Endpoint


def piece(text: str | None = None, finish: str | None = None) -> str:
    """One event of a stream."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]})


def usage(tokens: int) -> str:
    """The event that says how many tokens an answer has."""
    counts = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
    return event(
        {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": []} | {"usage": counts}
    )


def event(value: object) -> str:
    return f"data: {json.dumps(value)}\n\n"


DONE = "data: [DONE]\n\n"


def whole(*texts: str, finish: str = "stop", tokens: int | None = None) -> list[str]:
    """The events of a proper answer."""
    return [*map(piece, texts), piece(finish=finish), usage(len(texts) if tokens is None else tokens), DONE]


@dataclass
class Reply:
    """What the server answers.

    Attributes:
        parts: are written one after the other.
        missing: bytes that are announced and never come: the connection breaks instead.
        wait_before: of the part at this place, and of all when it is 0, until the test is over or `released` is set.
    """

    parts: Sequence[str] = ()
    status: int = 200
    kind: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0
    wait_before: int | None = None


@dataclass
class FakeEndpoint:
    """Answers each request with what `answer` makes of it, and remembers all of them."""

    url: str
    answer: Callable[[dict[str, Any]], Reply] = lambda request: Reply(whole("Rest", "."))
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)
    most_at_once: int = 0

    def endpoint(self, local: bool = False, key: str = "k") -> Endpoint:
        return Endpoint(self.url, key, "m", local)


@contextmanager
def serving() -> Iterator[FakeEndpoint]:
    """Such a server for the length of a `with` block."""
    lock, busy = threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                found.requests.append(request)
                found.keys.append(self.headers["Authorization"])
                busy[0] += 1
                found.most_at_once = max(found.most_at_once, busy[0])
            with suppress(BrokenPipeError, ConnectionResetError):  # the client did not wait
                self._write(found.answer(request))
            with lock:
                busy[0] -= 1

        def _write(self, reply: Reply) -> None:
            if reply.wait_before == 0:
                self._wait()
            self.send_response(reply.status)
            for name, value in {"Content-Type": reply.kind, **reply.headers}.items():
                self.send_header(name, value)
            length = sum(len(part.encode()) for part in reply.parts) + reply.missing
            self.send_header("Content-Length", str(length))
            self.end_headers()
            for place, part in enumerate(reply.parts):
                if place and place == reply.wait_before:
                    self._wait()
                self.wfile.write(part.encode())
                self.wfile.flush()

        def _wait(self) -> None:
            found.waiting.set()
            found.released.wait(30)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Listening(ThreadingHTTPServer):
        request_queue_size = 64  # or a connection of many at once waits for a second

    with Listening(("127.0.0.1", 0), Handler) as listening:
        found = FakeEndpoint(f"http://127.0.0.1:{listening.server_port}/v1")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            found.released.set()
            listening.shutdown()
            thread.join()
