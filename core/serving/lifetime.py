"""How long a server lives: as long as somebody uses it and asks it something now and then.

<task>/
  address.json     {"url", "token"}: where it answers; only the user who started it may read the file
  users/<pid>-<created>   one empty file for each process that uses it; "stay" inside keeps it alive without questions
  asked            its time of change is when the server was last asked

Those who use a server write their own file there, the server looks whether they live. So it ends after all of them
have, in whatever way they did, and two studios with one home may share it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from core.errors import ConfigError
from core.jobs.folder import JobFolder, Status, process
from core.jobs.processes import end_tree
from core.paths import write_json

IDLE_MINUTES = "GRPO_STUDIO_SERVER_IDLE_MINUTES"
"""The environment variable that says after how many minutes without a question a server ends."""
ADDRESS = "address.json"
ASKED = "asked"
STOPPED = "it was asked to stop"

_USUAL_MINUTES = 10.0
_USERS = "users"
_STAY = "stay"
_GRACE_SECONDS = 30.0
"""How long a server that has just been started waits for its first user to write down its name."""
_END_SECONDS = 20.0
"""How long a server that is to end may take; then it is killed, for it has nothing to lose."""
_LOOK_SECONDS = 1.0


class Lifetime:
    """What a server that answers asks once a second.

    Attributes:
        reason: why it is over, as a part of a sentence; empty as long as it is not.
    """

    def __init__(self, folder: Path) -> None:
        """Args:
            folder: the server's task folder.

        Raises:
            ConfigError: the environment's `GRPO_STUDIO_SERVER_IDLE_MINUTES` is no number above 0.
        """
        self._job = JobFolder(folder)
        self._minutes = idle_minutes()
        self._started = time.monotonic()
        self._since: float | None = None
        self._noted = 0.0
        self.reason = ""

    def over(self, last_request: float) -> bool:
        """Whether the server is to end now; idle time counts from the first call on.

        Args:
            last_request: when it was last asked something, in seconds since 1970; now while it writes an answer.
        """
        self._since = self._since or time.time()
        self._note(max(last_request, self._since))
        if unused(self._job.folder, self._started):
            self.reason = "nobody uses it any more"
        elif time.time() - self._noted > 60 * self._minutes and not _kept(self._job.folder):
            self.reason = f"nobody asked it anything for {self._minutes:g} minutes"
        elif self._job.stop_request.exists():
            self.reason = STOPPED
        if self.reason:
            _ask_to_stop(self._job)  # from now on the guard sees to it that it does
        return bool(self.reason)

    def _note(self, last_request: float) -> None:
        """Write down when it was last asked, for those who look at it from outside."""
        if last_request - self._noted >= _LOOK_SECONDS or not self._noted:
            self._noted = last_request
            with suppress(OSError):  # a full disk is no reason to stop answering
                (self._job.folder / ASKED).touch()
                os.utime(self._job.folder / ASKED, (last_request, last_request))


def idle_minutes() -> float:
    """After how many minutes without a question a server ends.

    Raises:
        ConfigError: the environment says something that is no number above 0.
    """
    said = os.environ.get(IDLE_MINUTES, "").strip()
    try:
        minutes = float(said) if said else _USUAL_MINUTES
    except ValueError:
        minutes = 0.0
    if not minutes > 0:
        raise ConfigError(f"{IDLE_MINUTES} is {said!r} and must be a number of minutes above 0. Correct or unset it.")
    return minutes


@contextmanager
def guarded(job: JobFolder) -> Iterator[None]:
    """Never let this process, which is a server's, survive as an orphan, whatever its main thread is busy with.

    A thread asks it to stop once nobody uses it any more, also while it loads a model. When it has not ended 20 s after
    it was asked to, by whomever, the thread ends it by force together with all that it has started.
    """
    done = threading.Event()
    guard = threading.Thread(target=_guard, args=(job, done), name="guard", daemon=True)
    guard.start()
    try:
        yield
    finally:
        done.set()
        guard.join()
        (job.folder / ADDRESS).unlink(missing_ok=True)


def _guard(job: JobFolder, done: threading.Event) -> None:
    started = time.monotonic()
    while not done.wait(_LOOK_SECONDS):
        if job.stop_request.exists() or unused(job.folder, started):
            _ask_to_stop(job)
            if not done.wait(_END_SECONDS):
                _end_by_force(job)
            return


def _ask_to_stop(job: JobFolder) -> None:
    with suppress(OSError):
        job.stop_request.touch()


def _end_by_force(job: JobFolder) -> None:
    """End this process and its children; what it would have written last is written here."""
    with suppress(Exception):  # nothing may keep it alive now
        (job.folder / ADDRESS).unlink(missing_ok=True)
        job.write_status(replace(job.written_status(), state="stopped", phase="", updated=time.time()))
        for child in psutil.Process().children():
            end_tree(child)
    os._exit(0)


def write_address(folder: Path, url: str, token: str) -> None:
    """Say where the server of this task folder answers, and with which token; nobody else may read the file.

    Args:
        url: without `/v1`, such as `http://127.0.0.1:40123`.
    """
    write_json(folder / ADDRESS, {"url": url, "token": token})
    (folder / ADDRESS).chmod(0o600)


def use(job: JobFolder, stay: bool = False) -> None:
    """Write down that this process uses a server.

    Args:
        stay: whether the server is to stay alive as long as this process does, though nobody asks it anything.
    """
    file = _own_file(job.folder)
    with suppress(FileNotFoundError):  # the server's folder has been removed: whoever asks it will be told
        file.parent.mkdir(exist_ok=True)
        if stay:
            file.write_text(_STAY, encoding="utf-8")
        else:
            file.touch()


def leave(job: JobFolder) -> None:
    """Write down that this process uses a server no longer."""
    _own_file(job.folder).unlink(missing_ok=True)


def living_users(folder: Path) -> list[int]:
    """The ids of the processes that use the server and live."""
    return [status.pid for file in _user_files(folder) if (status := _named(file)) and process(status)]


def unused(folder: Path, started: float) -> bool:
    """Whether nobody lives who uses the server.

    Args:
        started: when it was started, by the monotonic clock; one that has had no user yet is given a moment.
    """
    if living_users(folder):
        return False
    return bool(_user_files(folder)) or time.monotonic() - started > _GRACE_SECONDS


def _kept(folder: Path) -> bool:
    """Whether a living user wants it to stay though nobody asks anything."""
    staying = [file for file in _user_files(folder) if _content(file) == _STAY]
    return any((status := _named(file)) and process(status) for file in staying)


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:  # it has just left
        return ""


def _own_file(folder: Path) -> Path:
    me = psutil.Process()
    return folder / _USERS / f"{me.pid}-{me.create_time()}"


def _user_files(folder: Path) -> list[Path]:
    return list((folder / _USERS).glob("*-*"))


def _named(file: Path) -> Status | None:
    """Which process a user's file names; None when it is anything else."""
    pid, _, created = file.name.partition("-")
    try:
        found: Any = int(pid), float(created)
    except ValueError:
        return None
    return Status(state="running", pid=found[0], created=found[1])
