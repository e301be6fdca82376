"""Asks the Hugging Face Hub what an upload would find there, with the Hub's own client."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

import huggingface_hub
import huggingface_hub.errors
from huggingface_hub.utils.sha import git_hash

from core.errors import RunError
from core.export.hub import check_token
from core.export.hub_errors import plain_errors
from core.export.hub_plan import Plan, PlannedFile

THREAD = "hub-client"
"""What the threads are called in which the client waits for the network."""

_Found = TypeVar("_Found")
_LOOK_SECONDS = 0.2
"""How often somebody looks whether the user wants to stop while the network is waited for."""
_ASK_SECONDS = 30.0
_MOST_SMALL_BYTES = 20_000_000
_LOADED_UNNAMED = re.compile(r".+\.safetensors|(pytorch|adapter)_model.*\.bin|.+\.index\.json|adapter_config\.json")
"""What programs load when they are given the repository's name alone; a GGUF file is always named."""


@dataclass(frozen=True)
class DryRun:
    """What an upload would find on the Hub.

    Attributes:
        account: whose the token is.
        exists: whether the repository is there already; False also where the token may not see it.
        private: whether it is private; None when it is not there.
        there: the paths of planned files that are there with the same content.
        replaced: the paths of planned files that are there with another content; they would get a new version.
        bytes: how many would be sent.
        removed: the paths of what `other_weights` finds, which would be taken away.
    """

    account: str
    exists: bool
    private: bool | None
    there: tuple[str, ...]
    replaced: tuple[str, ...]
    bytes: int
    removed: tuple[str, ...] = ()


def dry_run(plan: Plan, token: str, seconds: float = _ASK_SECONDS) -> DryRun:
    """Ask the Hub what an upload would find; nothing is sent or changed.

    Raises:
        ConfigError: there is no token.
        RunError: the Hub does not know the token, cannot be reached, or does not answer for so many seconds.
    """
    kept = check_token(token)
    hub = client_with(kept)
    deadline = time.monotonic() + seconds

    def patient() -> None:
        if time.monotonic() > deadline:
            raise RunError(f"The Hugging Face Hub has not answered for {seconds:.0f} seconds. Check the network.")

    with plain_errors(plan, kept):
        return apart(lambda: _looked_up(hub, plan), patient)


def client_with(token: str) -> huggingface_hub.HfApi:
    """The token is always named: without one the client would look for what this machine's users have saved."""
    return huggingface_hub.HfApi(token=token)


def _looked_up(hub: huggingface_hub.HfApi, plan: Plan) -> DryRun:
    account = str(hub.whoami()["name"])
    try:
        private = hub.model_info(plan.request.repository).private
    except huggingface_hub.errors.RepositoryNotFoundError:
        return DryRun(account, False, None, (), (), plan.bytes)
    known = known_files(hub, plan)
    there = tuple(path for path, same in known.items() if same)
    replaced = tuple(path for path, same in known.items() if not same)
    left = sum(file.bytes for file in plan.files if file.path not in there)
    return DryRun(account, True, private, there, replaced, left, other_weights(hub, plan))


def known_files(hub: huggingface_hub.HfApi, plan: Plan) -> dict[str, bool]:
    """The paths of planned files that the repository holds, and whether the content is the same."""
    planned = {file.path: file for file in plan.files}
    found = hub.get_paths_info(plan.request.repository, list(planned))
    return {entry.path: _same(planned[entry.path], entry) for entry in found if entry.path in planned}


def other_weights(hub: huggingface_hub.HfApi, plan: Plan) -> tuple[str, ...]:
    """The paths of weights, their indexes and adapters at the repository's top that are not of this plan.

    With them beside it, a program would load another model than the one that is sent.
    """
    planned = {file.path for file in plan.files}
    top = hub.list_repo_tree(plan.request.repository)
    files = (entry.path for entry in top if isinstance(entry, huggingface_hub.hf_api.RepoFile))
    return tuple(sorted(path for path in files if path not in planned and _LOADED_UNNAMED.fullmatch(path)))


def _same(file: PlannedFile, entry: object) -> bool:
    """Whether a file is what the repository holds, which names large files by SHA-256 and small ones as git does."""
    large: huggingface_hub.hf_api.BlobLfsInfo | None = getattr(entry, "lfs", None)
    if large is not None:
        return large.sha256 == file.sha256
    return file.bytes <= _MOST_SMALL_BYTES and getattr(entry, "blob_id", "") == git_hash(file.source.read_bytes())


def apart(work: Callable[[], _Found], look: Callable[[], None]) -> _Found:
    """What `work` returns. It runs in a thread of its own, and `look` is called meanwhile and may raise.

    The client waits for an answer without end, so a stop must not wait for it. A thread that is left behind ends with
    the process.
    """
    future: Future[_Found] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=THREAD, daemon=True).start()
    while not wait([future], _LOOK_SECONDS).done:
        look()
    return future.result()
