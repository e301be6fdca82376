"""The files beside a model's weights: configuration, tokenizer, chat template, where an answer ends, licence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from core.errors import ModelError, RunError
from core.paths import storage_error, write_json
from core.tokenizer_files import TOKENIZER, read_special_tokens, read_tokenizer

CONFIG, GENERATION = "config.json", "generation_config.json"
_TOKENIZER_FILES = (
    *(TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
    *("chat_template.json", "tokenizer.model", "spiece.model", "vocab.json", "merges.txt", "vocab.txt"),
)
_TEMPLATES = "additional_chat_templates"
_TERMS = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*")
_SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def make_folder(target: Path) -> None:
    """Make the folder of a form.

    Raises:
        RunError: it is there already.
        StorageError: the folder above it cannot be written.
    """
    try:
        target.mkdir()
    except FileExistsError as error:
        raise RunError(f"{target} is there already, and nothing is overwritten. Start another export.") from error
    except OSError as error:
        raise storage_error(error, target) or error from error


def copy_tokenizer(base: Path, adapter: Path | None, target: Path) -> None:
    """Copy how a model reads, where its answers end, and the terms it comes with.

    Each file is the base model's; one that it lacks is taken from beside the adapter, where training left its own.

    Raises:
        ModelError: there is no tokenizer.json, or a file cannot be read.
        StorageError: the disk is full.
    """
    try:
        for file in _companions(base, adapter):
            if file.is_dir():
                shutil.copytree(file, target / file.name, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(file, target / file.name)
    except OSError as error:
        raise storage_error(error, target / TOKENIZER) or error from error
    if not (target / TOKENIZER).is_file():
        raise ModelError(
            f"The tokenizer of {base.name!r} is missing: there is no {TOKENIZER} in {base} or beside the adapter, and "
            "without it no program can read or write with the model. Copy or download the model again."
        )
    write_json(target / GENERATION, _generation_config(base, target))


def write_config(base: Path, target: Path, dtype: torch.dtype, untied: bool) -> None:
    """Write the base model's config.json with the number format of the new weights.

    Args:
        untied: the adapter made input and output embeddings differ, so the new weights hold both.

    Raises:
        ModelError: config.json is missing or damaged.
    """
    config = read_json(base / CONFIG)
    config.pop("_name_or_path", None)  # a folder of this machine
    for part in (config, config.get("text_config")):
        if isinstance(part, dict):
            named = [key for key in ("dtype", "torch_dtype") if key in part] or ["dtype"]
            part.update(dict.fromkeys(named, str(dtype).removeprefix("torch.")))
            if untied:
                part["tie_word_embeddings"] = False
    write_json(target / CONFIG, config)


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read ({error}). Copy or download the model again.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{file} holds no JSON object. Copy or download the model again.")
    return values


def _companions(base: Path, adapter: Path | None) -> Iterator[Path]:
    for name in (*_TOKENIZER_FILES, _TEMPLATES):
        places = (folder / name for folder in (base, adapter) if folder is not None)
        yield from [place for place in places if place.exists()][:1]
    yield from (file for pattern in _TERMS for file in sorted(base.glob(pattern)) if file.is_file())


def _generation_config(base: Path, target: Path) -> dict[str, Any]:
    """How the base model is asked by default, with the end token of its tokenizer among those that end an answer.

    Training and the studio's server stop at that one; some published models name only another.
    """
    if (base / GENERATION).is_file():
        found = read_json(base / GENERATION)
    else:
        model = read_json(base / CONFIG)
        found = {key: model[key] for key in _SPECIAL_IDS if model.get(key) is not None}
    tokens = read_special_tokens(target)
    end = read_tokenizer(target, tokens).token_to_id(tokens["eos_token"]) if "eos_token" in tokens else None
    named = found.get("eos_token_id")
    known = named if isinstance(named, list) else [named]
    if end is not None and end not in known:
        others = [token for token in known if token is not None]
        found["eos_token_id"] = [end, *others] if others else end
    return found
