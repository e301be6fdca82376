"""Sends an export to the Hugging Face Hub, with the Hub's own client.

Large files go first into the repository's storage, one after the other; one commit at the end makes all of them visible
together, so nobody ever sees half a model. What is there with the same content is not sent again. The same commit takes
away what another upload has left at the top and what programs would load instead; it stays in the repository's history.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import huggingface_hub
import huggingface_hub.errors

from core.errors import RunError
from core.export.hub import TOKEN_VARIABLE, PushRecord, check_token, keep_record, may_add, push_records
from core.export.hub_errors import plain_errors
from core.export.hub_look import apart, client_with, known_files, other_weights
from core.export.hub_plan import Plan, PlannedFile, PushRequest, changed_file, make_plan
from core.export.manifest import file_entries
from core.export.request import FORM_TITLES
from core.export.store import find_export, writing_alone
from core.jobs.tasks import Tell, silent
from core.paths import Home

_ASKING = "asking the Hugging Face Hub"
_SHOWING = "making it visible"


def push_export(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task: a `PushRequest`, with the token in the environment, to where the export can be seen.

    Raises:
        ConfigError: there is no token.
        DataError: there is no such export, or it is damaged.
        RunError: the Hub refuses, or cannot be reached; or somebody else writes the export.
        StorageError: a file has changed since it was made.
        TaskStopped: the user asked to stop.
    """
    request = PushRequest.model_validate(arguments)
    export = find_export(home, request.export)
    release = writing_alone(export)
    try:
        record = upload(make_plan(export, request), os.environ.get(TOKEN_VARIABLE, ""), tell)
    finally:
        release()
    return record.model_dump(mode="json")


def upload(plan: Plan, token: str, tell: Tell = silent) -> PushRecord:
    """Send what is planned; returns what is remembered of it.

    Args:
        token: one that may write; it is written nowhere.
        tell: told the file that is being sent, and how many of all bytes have been.

    Raises:
        ConfigError: there is no token.
        RunError: the repository exists although it may not, is public although it should be private, or keeps a file
            out; or the Hub refuses or cannot be reached.
        StorageError: a file has changed since it was made.
        TaskStopped: the user asked to stop.
    """
    kept = check_token(token)
    hub, size = client_with(kept), plan.bytes
    tell(_ASKING, 0, size)
    with plain_errors(plan, kept):
        opened = apart(lambda: _open_repository(hub, plan), lambda: tell(_ASKING, 0, size))
        additions = _send_files(hub, plan, tell)
        commit = apart(lambda: _commit(hub, plan, additions), lambda: tell(_SHOWING, size, size))
    record = opened.model_copy(update={"commit": commit, "time": time.time(), "forms": plan.request.forms})
    keep_record(plan.export, record)
    return record


def _open_repository(hub: huggingface_hub.HfApi, plan: Plan) -> PushRecord:
    """Make the repository, or make sure that the one that is there may be used; returns what is remembered of it.

    It is remembered at once, so that an upload that breaks off may go on there.
    """
    name = plan.request.repository
    earlier = next((record for record in push_records(plan.export) if record.repository == name), None)
    try:
        url = hub.create_repo(name, private=plan.request.private, exist_ok=may_add(plan.export, plan.request))
    except huggingface_hub.errors.HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        raise RunError(
            f"There is a repository {name} on the Hugging Face Hub already. Choose another name, or allow that the "
            "files are added to it."
        ) from error
    private = bool(hub.model_info(name).private)
    if plan.request.private and not private:
        raise RunError(
            f"{name} is public, and this upload should be private. Nothing was sent. Choose another repository, or "
            "make that one private on the Hugging Face Hub first."
        )
    record = earlier or PushRecord(repository=name, private=private, url=str(url))
    if earlier is None:
        keep_record(plan.export, record)
    return record.model_copy(update={"private": private})


def _send_files(hub: huggingface_hub.HfApi, plan: Plan, tell: Tell) -> list[huggingface_hub.CommitOperationAdd]:
    """Put all large files into the repository's storage; returns what is left to be committed."""
    known = apart(lambda: known_files(hub, plan), lambda: tell(_ASKING, 0, plan.bytes))
    additions, done = [], 0
    for file in plan.files:
        if not known.get(file.path):
            additions.append(_send(hub, plan, file, tell, done))
        done += file.bytes
    return additions


def _send(
    hub: huggingface_hub.HfApi, plan: Plan, file: PlannedFile, tell: Tell, done: int
) -> huggingface_hub.CommitOperationAdd:
    """Put one file into the repository's storage, if it is a large one, after a check that it is what was made.

    Args:
        done: bytes of the files before it.

    Raises:
        StorageError: it is not.
    """
    total, checking = plan.bytes, f"checking {file.path}"
    [found] = file_entries(plan.export.folder, [file.source], lambda phase, read, size: tell(checking, done, total))
    if found.sha256 != file.sha256:
        raise changed_file(file.path)
    addition = huggingface_hub.CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=file.source)
    addition.upload_info.sha256 = bytes.fromhex(file.sha256)  # or the client would read it once more
    sending = f"sending {file.path}"
    apart(lambda: hub.preupload_lfs_files(plan.request.repository, [addition]), lambda: tell(sending, done, total))
    return addition


def _commit(hub: huggingface_hub.HfApi, plan: Plan, additions: list[huggingface_hub.CommitOperationAdd]) -> str:
    """Make everything that was sent visible in one step, and look whether it is there; returns the commit's name.

    Raises:
        RunError: a file is not there. The client passes over what the repository's `.gitignore` names.
    """
    name = plan.request.repository
    message = f"Upload {', '.join(FORM_TITLES[form] for form in plan.request.forms)}"
    removals = [huggingface_hub.CommitOperationDelete(path) for path in other_weights(hub, plan)]
    commit = hub.create_commit(name, [*additions, *removals], commit_message=message).oid
    arrived = known_files(hub, plan)
    missing = [file.path for file in plan.files if not arrived.get(file.path)]
    if missing:
        raise RunError(
            f"{', '.join(missing)} did not arrive in {name}. If the repository has a .gitignore, take it out; then "
            "start the upload again."
        )
    return commit
