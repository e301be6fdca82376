"""A server as it stands: found among the tasks of a home, and told in words. Starts and ends nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from core.errors import ModelError
from core.jobs.folder import Status
from core.jobs.processes import family_bytes
from core.jobs.server_guard import ADDRESS, living_users
from core.jobs.tasks import SERVERS, Task, newest_task, tasks_of
from core.paths import Home
from core.serving.lifetime import ASKED, STOPPED

State = Literal["loading", "ready", "failed", "stopped"]

SCORES = "scores"
"""What the server that scores is called in place of a model."""


@dataclass(frozen=True)
class Address:
    """Where a server answers, without `/v1`, and the bearer token it wants."""

    url: str
    token: str


_ADDRESS = TypeAdapter(Address)


@dataclass(frozen=True)
class Server:
    """A server as it stood when it was looked at.

    Attributes:
        model: which base model it keeps; "scores" for the one that scores.
        state: "loading" until it answers.
        phase, done, total: what it is busy with while it loads, and how far it is.
        error: why it failed or ended, a sentence or two; empty as long as it lives.
    """

    task: Task
    model: str
    state: State
    phase: str
    done: int
    total: int
    error: str

    @property
    def live(self) -> bool:
        return self.state in ("loading", "ready")

    @property
    def started(self) -> float:
        """In seconds since 1970."""
        return self.task.written_status().started

    @property
    def seconds_idle(self) -> float:
        """How long ago it was last asked; 0 as long as it loads or writes an answer."""
        try:
            return max(time.time() - (self.task.folder / ASKED).stat().st_mtime, 0.0)
        except FileNotFoundError:
            return 0.0

    @property
    def users(self) -> list[int]:
        """The ids of the living processes that use it."""
        return living_users(self.task.folder)

    def memory_bytes(self) -> int:
        """The machine's memory that its processes take; 0 when there are none."""
        return family_bytes(self.task.process(self.task.written_status()))

    def address(self) -> Address:
        """Where it answers.

        Raises:
            ModelError: it does not live any more, or its address is damaged.
        """
        file = self.task.folder / ADDRESS
        try:
            return _ADDRESS.validate_json(file.read_bytes())
        except FileNotFoundError:
            raise ModelError(silent(self)) from None
        except ValidationError as error:
            raise ModelError(f"The address in {file} is damaged. Stop the server and ask again.") from error


def look_at(task: Task) -> Server:
    """How a server's task stands now."""
    status = task.status()
    state = _state(task, status)
    error = "" if state in ("loading", "ready") else _ended(task, status)
    return Server(task, model_of(task), state, status.phase, status.done, status.total, error)


def silent(server: Server) -> str:
    """What to say when a server that was ready does not answer."""
    return look_at(server.task).error or f"The server of {server.model} does not answer. Stop it and ask again."


def newest(home: Home, kind: str, model: str) -> Task | None:
    """The server of this model that was started last; earlier ones have ended, or are about to."""
    return newest_task(home, kind, {} if model == SCORES else {"model": model})


def by_start(home: Home, kinds: Iterable[str] = SERVERS) -> list[Task]:
    """The servers that are kept, live or not; the one that was started first comes first."""
    found = [task for kind in kinds for task in tasks_of(home, kind)]
    return sorted(found, key=lambda task: task.written_status().started)


def model_of(task: Task) -> str:
    """Which model a server keeps; "scores" for the one that scores."""
    return str(asked_of(task).get("model", SCORES))


def asked_of(task: Task) -> Mapping[str, Any]:
    """What a server was started with; nothing when its folder is just being removed."""
    try:
        return task.arguments()
    except FileNotFoundError:
        return {"model": ""}


def _state(task: Task, status: Status) -> State:
    stopped = task.stop_request.exists()
    if status.state == "failed" or (status.state == "interrupted" and not stopped):
        return "failed"
    if stopped or not status.live:
        return "stopped"
    return "ready" if (task.folder / ADDRESS).is_file() else "loading"


def _ended(task: Task, status: Status) -> str:
    """Why a server does not live any more, and what to do."""
    name = f"The server of {model_of(task)}"
    if status.state == "failed":
        return status.error or f"{name} failed. Its log is {task.log}."
    if status.state == "interrupted" and not task.stop_request.exists():
        return (
            f"{name} was ended from outside, as happens when memory runs out. Its log is {task.log}. Ask again to "
            "start it anew."
        )
    result = task.result() if status.state == "finished" else None
    reason = result.get("ended") if isinstance(result, Mapping) else None
    return f"{name} has ended: {reason or STOPPED}. Ask again to start it anew."
