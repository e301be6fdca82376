"""How long a server lives: as long as somebody uses it and asks it something now and then.

<task>/
  address.json     {"url", "token"}: where it answers; only the user who started it may read the file
  users/<pid>-<created>   one empty file for each process that uses it; "stay" inside keeps it alive without questions
  asked            its time of change is when the server was last asked

Those who use a server write their own file there, the server looks whether they live (`core.jobs.server_guard`). So it
ends after all of them have, in whatever way they did, and two studios with one home may share it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

from core.errors import ConfigError
from core.jobs.folder import JobFolder
from core.jobs.server_guard import ADDRESS, USERS, ask_to_stop, living_user_files, unused
from core.paths import write_json

IDLE_MINUTES = "GRPO_STUDIO_SERVER_IDLE_MINUTES"
"""The environment variable that says after how many minutes without a question a server ends."""
ASKED = "asked"
STOPPED = "it was asked to stop"

_USUAL_MINUTES = 10.0
_STAY = "stay"
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
            ask_to_stop(self._job)  # from now on the guard sees to it that it does
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


def _kept(folder: Path) -> bool:
    """Whether a living user wants it to stay though nobody asks anything."""
    return any(_content(file) == _STAY for file, _ in living_user_files(folder))


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:  # it has just left
        return ""


def _own_file(folder: Path) -> Path:
    me = psutil.Process()
    return folder / USERS / f"{me.pid}-{me.create_time()}"
