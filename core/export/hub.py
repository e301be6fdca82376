"""Publishing an export on the Hugging Face Hub: the task that sends it, its token, and where it was sent.

The token is never written anywhere: whoever starts the task passes it on, and it reaches the task in the environment of
its process only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pydantic import ValidationError

from core.access import audit
from core.access.permissions import allow
from core.errors import ConfigError, RunError
from core.export.hub_plan import PushRequest, make_plan
from core.export.request import Form
from core.export.store import Export
from core.jobs import supervisor
from core.jobs.tasks import Task, newest_task
from core.paths import Home, write_json
from core.settings_base import Settings

KIND = "push_export"
TOKEN_VARIABLE = "HF_TOKEN"
PUSHES = "pushes"
"""The folder of an export that remembers where it was published, a file for each repository."""

_TOKEN = re.compile(r"[\x21-\x7e]{8,}")
"""Whatever else would end in an error that repeats it."""


class PushRecord(Settings):
    """What is known of one repository that an export was sent to.

    Attributes:
        private: whether it was private then.
        url: where it is seen.
        commit: the Hub's name for what was sent; empty while the upload is not whole.
        time: when that was, in seconds since 1970.
        forms: what was sent.
    """

    repository: str
    private: bool
    url: str
    commit: str = ""
    time: float = 0.0
    forms: tuple[Form, ...] = ()


def check_token(token: str) -> str:
    """`token` without space around it.

    Raises:
        ConfigError: there is none, or it cannot be one; the message does not repeat it.
    """
    kept = token.strip()
    if not kept:
        raise ConfigError(
            f"There is no token for the Hugging Face Hub. Enter one that may write, or set {TOKEN_VARIABLE} where the "
            "studio is started."
        )
    if not _TOKEN.fullmatch(kept):
        raise ConfigError("The token for the Hugging Face Hub is none: it begins with hf_. Copy it again, in whole.")
    return kept


def environment_token(environment: Mapping[str, str] = os.environ) -> str:
    """The token that the studio was started with; empty when there is none."""
    return environment.get(TOKEN_VARIABLE, "").strip()


def start_push(home: Home, export: Export, request: PushRequest, token: str) -> Task:
    """Start the task that sends what is planned; it goes on where an earlier one was broken off.

    Args:
        token: for the Hub; it is passed on in the environment of the task's process and written nowhere.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: there is no token.
        RunError: an upload goes on already, or cannot be started; and as `make_plan` says.
        StorageError: a file is missing or is not as it was made.
        DataError: the export is damaged.
    """
    allow("export.push")
    running = push_task(home, export)
    if running is not None and running.status().live:
        raise RunError(f"{export.id} is being uploaded just now. Wait until that is done, or stop it.")
    kept = check_token(token)
    make_plan(export, request)
    arguments = {**request.model_dump(mode="json"), "export": export.id}
    task = supervisor.start_task(home, KIND, arguments, {TOKEN_VARIABLE: kept})
    audit.record(home, "export.push", export.id, repository=request.repository, private=request.private)
    return task


def push_task(home: Home, export: Export) -> Task | None:
    """The task that was started last to publish an export; None when there is none, or it has been forgotten."""
    return newest_task(home, KIND, {"export": export.id})


def push_records(export: Export) -> list[PushRecord]:
    """The repositories that an export was sent to, or that were made for it; the newest first."""
    found = []
    for file in (export.folder / PUSHES).glob("*.json"):
        try:
            found.append(PushRecord.model_validate_json(file.read_bytes()))
        except (ValidationError, OSError):
            continue  # a note, which the upload can do without
    return sorted(found, key=lambda record: record.time, reverse=True)


def may_add(export: Export, request: PushRequest) -> bool:
    """Whether files may go into a repository that is there already: it was allowed, or this export was sent there."""
    return request.may_exist or any(record.repository == request.repository for record in push_records(export))


def keep_record(export: Export, record: PushRecord) -> None:
    """Remember a repository, in the place of what was known of it.

    Raises:
        StorageError: the disk is full.
    """
    folder = export.folder / PUSHES
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{record.repository.replace('/', '--')}.json", record.model_dump(mode="json"))
