"""The files that say how a model reads: its tokenizer, its special tokens, its chat template.

They are read here the way transformers reads them, and downloaded when a model is named by its Hugging Face id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import huggingface_hub.constants
import huggingface_hub.errors
from tokenizers import AddedToken, Tokenizer

from core.errors import ModelError
from core.models import locate
from core.paths import Home, storage_error

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
SPECIAL = "special_tokens_map.json"
FILES = (TOKENIZER, CONFIG, TEMPLATE, SPECIAL)


def tokenizer_folder(name: str, home: Home) -> Path:
    """The folder of a model's tokenizer files; those of a Hugging Face id are downloaded when they are not there.

    Raises:
        ModelError: the model cannot be found or downloaded, or has no tokenizer.json.
        StorageError: there is no room for the download, or its folder cannot be written.
    """
    place = locate(name, home)
    folder = Path(place) if Path(place).is_dir() else _downloaded(place)
    if not (folder / TOKENIZER).is_file():
        raise ModelError(
            f"The model {name!r} cannot be loaded: it has no {TOKENIZER}. Choose a model that has one; most published "
            "chat models do."
        )
    return folder


def _downloaded(name: str) -> Path:
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=list(FILES), local_files_only=True))
        if (folder / TOKENIZER).is_file() and read_template(folder) is not None:
            return folder
    except huggingface_hub.errors.LocalEntryNotFoundError:
        pass  # not downloaded yet
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(FILES)))
    except (httpx.HTTPError, OSError, ValueError) as error:
        full = (
            storage_error(error, Path(huggingface_hub.constants.HF_HUB_CACHE)) if isinstance(error, OSError) else None
        )
        raise full or ModelError(_why_not(name, error)) from error


def _why_not(name: str, error: Exception) -> str:
    if isinstance(error, huggingface_hub.errors.GatedRepoError):
        return (
            f"The model {name!r} is gated: its owner wants to be asked first. Accept the terms on its page on "
            "huggingface.co, set HF_TOKEN to a token of that account, and start the studio again."
        )
    if isinstance(error, huggingface_hub.errors.RepositoryNotFoundError | huggingface_hub.errors.HFValidationError):
        return (
            f"There is no model {name!r} on Hugging Face, or it is private. Check the spelling; for a private one set "
            "HF_TOKEN to a token that may read it."
        )
    return (
        f"The tokenizer of {name!r} cannot be downloaded: Hugging Face cannot be reached ({type(error).__name__}). "
        "Connect this machine to the network, or choose an embedded model or a local directory."
    )


def read_template(folder: Path) -> str | None:
    """The chat template in a folder; of several, the one called `default`; None when there is none."""
    file = folder / TEMPLATE
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = _read(folder / CONFIG).get("chat_template")
    if isinstance(found, list):
        found = {entry["name"]: entry["template"] for entry in found}.get("default")
    return found if isinstance(found, str) else None


def read_special_tokens(folder: Path) -> dict[str, str]:
    """What a template may name: `bos_token` and so on; the end token also pads where nothing else does."""
    values = _read(folder / CONFIG)
    if "added_tokens_decoder" not in values:  # then the older file has the last word
        values |= _read(folder / SPECIAL)
    extra = values.get("extra_special_tokens")
    values |= extra if isinstance(extra, dict) else {}
    tokens = {}
    for key, value in values.items():
        content = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(content, str):
            tokens[key] = content
    if "eos_token" in tokens:
        tokens.setdefault("pad_token", tokens["eos_token"])
    return tokens


def read_tokenizer(folder: Path, special_tokens: Mapping[str, str]) -> Any:
    """A `tokenizers.Tokenizer` from tokenizer.json, with the tokens that only tokenizer_config.json knows of."""
    config, file = _read(folder / CONFIG), folder / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(f"{file} is not a tokenizer ({error}). Copy or download the model again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = bool(config.get("split_special_tokens", False))
    known = {repr(token) for token in tokenizer.get_added_tokens_decoder().values()}
    declared = sorted(config.get("added_tokens_decoder", {}).items(), key=lambda item: int(item[0]))
    new = [token for token in (AddedToken(**fields) for _, fields in declared) if repr(token) not in known]
    names = {token.content for token in (*tokenizer.get_added_tokens_decoder().values(), *new)}
    new += [AddedToken(token, special=True) for token in dict.fromkeys(special_tokens.values()) if token not in names]
    tokenizer.add_tokens(new)
    return tokenizer


def _read(file: Path) -> dict[str, Any]:
    """A JSON object from a file; nothing when there is no file."""
    try:
        values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{file} is not valid JSON ({error}). Copy or download the model again.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{file} holds no JSON object. Copy or download the model again.")
    return values
