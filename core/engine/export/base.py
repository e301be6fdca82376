"""The files of a base model, downloaded where they are not on this machine yet."""

from __future__ import annotations

from pathlib import Path

import httpx
import huggingface_hub
from huggingface_hub import constants, errors

from core.engine.export.weights import Weights
from core.errors import ModelError
from core.jobs.tasks import Tell
from core.models import locate
from core.paths import Home, storage_error

_WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "README.md", "LICENSE*"]
_UNWANTED = ["*/*", "consolidated*"]
"""Copies of the same weights in forms that nothing here reads."""
_SNAPSHOTS = "snapshots"
"""The folder of the Hub's cache that holds one for each state of a model, named by the Hub's name for that state."""


def base_folder(model: str, home: Home, tell: Tell) -> Path:
    """The folder with the weights and the tokenizer of a base model.

    Of a model from the Hub it is the state that lies in the cache, which is the one that was trained on; what is
    missing of it is downloaded.

    Raises:
        ModelError: there is no such model, or it is neither here nor can be downloaded.
        StorageError: there is no room for the download.
    """
    place = locate(model, home)
    if Path(place).is_dir():
        return Path(place)
    cached = _cached(place)
    tell("downloading the base model", 0, 0)
    try:
        return _download(model, place, cached.name if cached is not None else None)
    except ModelError:
        if cached is None or not _can_be_read(cached):
            raise
        return cached


def base_commit(folder: Path) -> str:
    """The Hub's name for the state of the model that a folder of its cache holds; empty of any other folder."""
    return folder.name if folder.parent.name == _SNAPSHOTS else ""


def _cached(place: str) -> Path | None:
    """What lies in the cache of a model, perhaps in part."""
    try:
        return Path(huggingface_hub.snapshot_download(place, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        return None


def _can_be_read(folder: Path) -> bool:
    """Whether all weights are there; what else is missing is said by whoever needs it."""
    try:
        Weights.of_model(folder)
    except ModelError:
        return False
    return True


def _download(model: str, place: str, commit: str | None) -> Path:
    try:
        found = huggingface_hub.snapshot_download(
            place, revision=commit, allow_patterns=_WANTED, ignore_patterns=_UNWANTED
        )
    except errors.LocalEntryNotFoundError as error:
        raise ModelError(
            f"The base model {model!r} is not on this machine and cannot be downloaded: Hugging Face cannot be "
            "reached. Connect this machine to the network, or copy the model here."
        ) from error
    except (httpx.HTTPError, OSError, ValueError) as error:
        full = storage_error(error, Path(constants.HF_HUB_CACHE)) if isinstance(error, OSError) else None
        raise full or ModelError(
            f"The base model {model!r} cannot be downloaded ({type(error).__name__}). Check that it can be read with "
            "your HF_TOKEN, and that this machine has a network."
        ) from error
    return Path(found)
