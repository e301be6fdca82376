"""The files of a base model, downloaded where they are not on this machine yet."""

from __future__ import annotations

from pathlib import Path

import httpx
import huggingface_hub
from huggingface_hub import constants, errors

from core.errors import ModelError
from core.jobs.tasks import Tell
from core.models import locate
from core.paths import Home, storage_error

_WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "README.md", "LICENSE*"]
_UNWANTED = ["*/*", "consolidated*"]
"""Copies of the same weights in forms that nothing here reads."""


def base_folder(model: str, home: Home, tell: Tell) -> Path:
    """The folder with the weights and the tokenizer of a base model.

    Raises:
        ModelError: there is no such model, or it is neither here nor can be downloaded.
        StorageError: there is no room for the download.
    """
    place = locate(model, home)
    if Path(place).is_dir():
        return Path(place)
    tell("downloading the base model", 0, 0)
    try:
        found = huggingface_hub.snapshot_download(place, allow_patterns=_WANTED, ignore_patterns=_UNWANTED)
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
