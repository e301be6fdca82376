"""An adapter as it is handed on: its weights, without any folder of this machine, and how its model reads."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePath

from core.engine.export.model_files import copy_tokenizer, make_folder, read_json
from core.engine.export.weights import Weights
from core.jobs.tasks import Tell, silent
from core.paths import storage_error, write_json
from core.serving.adapter_files import CONFIG, WEIGHTS


def adapter_copy(
    base_folder: Path, adapter_folder: Path, target: Path, tell: Tell = silent, *, base_name: str = ""
) -> None:
    """Write an adapter so that PEFT loads it, with tokenizer, chat template and where an answer ends.

    Args:
        target: a folder that is made here, in one that is there. It is whole when this has returned.
        tell: told the phase `adapter` and how many bytes are copied, of how many.
        base_name: what the adapter's configuration calls its base model; empty keeps the name that is there, and of a
            folder its last part.

    Raises:
        ModelError: the configuration or the tokenizer is missing or damaged.
        StorageError: the disk is full, or the folder cannot be written.
        RunError: the target is there already.
    """
    config = read_json(adapter_folder / CONFIG)
    config["base_model_name_or_path"] = base_name or _public(str(config.get("base_model_name_or_path") or ""))
    weights = adapter_folder / WEIGHTS
    Weights.of_file(weights)
    size = weights.stat().st_size
    make_folder(target)
    tell("adapter", 0, size)
    copy_tokenizer(base_folder, adapter_folder, target)
    try:
        shutil.copyfile(weights, target / WEIGHTS)
    except OSError as error:
        raise storage_error(error, target / WEIGHTS) or error from error
    write_json(target / CONFIG, config)
    tell("adapter", size, size)


def _public(name: str) -> str:
    """A model's name without the folders of this machine; `owner/name` stays as it is.

    >>> _public("/srv/models/smollm2-135m-instruct"), _public("Qwen/Qwen3-0.6B")
    ('smollm2-135m-instruct', 'Qwen/Qwen3-0.6B')
    """
    path = PurePath(name)
    return path.name if path.is_absolute() or len(path.parts) > 2 else name
