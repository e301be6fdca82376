"""Forms that Unsloth makes itself, of a run that it has trained: its merged weights in 16 bits, and its GGUF files.

Unsloth changes transformers and PEFT when it is imported, so it works in a process of its own
(`core.engine.export.unsloth_child`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import torch

from core.engine.before_imports import QUIET
from core.engine.export.adapter_form import adapter_copy
from core.engine.export.gguf_head import read_head
from core.engine.export.model_files import copy_tokenizer
from core.errors import ConfigError, ModelError
from core.export.quantiser import CONVERTER, LLAMA_CPP_DIR, PROGRAM, installed_converter, installed_program
from core.export.request import FORM_TITLES, GGUF_FORMS, Form
from core.jobs.processes import tethered
from core.jobs.tasks import Tell
from core.paths import Home, storage_error
from core.secrets import without_secrets

PHASE = "exporting with Unsloth"
_SOURCES = ("conversion", "gguf-py")
"""What llama.cpp's script needs beside it; older versions have no folder `conversion`."""
_POLL_SECONDS = 0.5


def by_unsloth(home: Home, base: Path, adapter: Path, target: Path, form: Form, scratch: Path, tell: Tell) -> None:
    """Let Unsloth write `target`: a folder of merged weights, or a GGUF file.

    Args:
        base: the folder of the base model.
        form: one of `core.export.request.UNSLOTH_FORMS`.
        scratch: a folder for what is made on the way; it is made here, and removed again.
        tell: told the phase, again and again; may raise `TaskStopped`, after which Unsloth is ended.

    Raises:
        ConfigError: this machine has no GPU that PyTorch can use, Unsloth is not installed, or `LLAMA_CPP_DIR` names a
            folder without what Unsloth needs.
        ModelError: Unsloth ended with an error; what it said stands in the log.
        StorageError: the disk is full.
    """
    _refuse_elsewhere(form)
    environment = {**QUIET, **without_secrets(os.environ), "OMP_WAIT_POLICY": "PASSIVE"}
    environment.setdefault("UNSLOTH_COMPILE_LOCATION", str(home.cache / "unsloth"))
    try:
        scratch.mkdir()
        if form in GGUF_FORMS:
            environment |= _llama_cpp(scratch)
        # Unsloth looks for the base model where the adapter says it is.
        adapter_copy(base, adapter, scratch / "adapter", base_name=str(base))
        _run(scratch / "adapter", target, form, environment, tell)
        if form in GGUF_FORMS:
            read_head(target)  # a file that is half written is refused here
        else:
            copy_tokenizer(base, adapter, target)
    except OSError as error:
        raise storage_error(error, target) or error from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(adapter: Path, target: Path, form: Form, environment: Mapping[str, str], tell: Tell) -> None:
    command = [sys.executable, "-m", "core.engine.export.unsloth_child", str(adapter), str(target), _method(form)]
    with tethered(command, environment) as process:
        code: int | None = None
        while code is None:
            tell(PHASE, 0, 0)
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_POLL_SECONDS)
    if code or not target.exists():
        way_out = (
            f"Where it could not fetch llama.cpp, set {LLAMA_CPP_DIR} to the folder of one, or choose a GGUF form of "
            "the studio's own."
            if form in GGUF_FORMS
            else f"Choose {FORM_TITLES['merged']}, which the studio makes by itself."
        )
        raise ModelError(
            f"Unsloth could not export the model (exit code {code}). What it said stands in the export's log. {way_out}"
        )


def _method(form: Form) -> str:
    """What Unsloth calls a form.

    >>> _method("unsloth_q4_k_m"), _method("unsloth_merged")
    ('q4_k_m', 'merged_16bit')
    """
    return form.removeprefix("unsloth_") if form in GGUF_FORMS else "merged_16bit"


def _llama_cpp(scratch: Path) -> Mapping[str, str]:
    """Where Unsloth finds llama.cpp: in a copy of the scripts of the one that the environment names, since it changes
    them, or, where none is named, as its own settings say."""
    program, script = installed_program(), installed_converter()
    if program is None:
        return {}
    if script is None:
        raise ConfigError(
            f"{LLAMA_CPP_DIR} names a folder without {CONVERTER}, which Unsloth needs. Name the folder of llama.cpp's "
            f"source with its programs built, or leave {LLAMA_CPP_DIR} unset: Unsloth then fetches one itself."
        )
    folder = scratch / "llama.cpp"
    folder.mkdir()
    shutil.copyfile(script, folder / CONVERTER)
    for name in _SOURCES:
        if (script.parent / name).is_dir():
            shutil.copytree(script.parent / name, folder / name)
    (folder / PROGRAM).symlink_to(program)
    return {
        "UNSLOTH_LLAMA_CPP_PATH": str(folder),
        "UNSLOTH_LLAMA_CPP_SCRIPTS_DIR": str(folder),
        "UNSLOTH_AUTO_INSTALL": "0",
    }


def _refuse_elsewhere(form: Form) -> None:
    if not torch.cuda.is_available():
        reason = "needs an NVIDIA GPU, and PyTorch finds none on this machine"
    elif find_spec("unsloth") is None:
        reason = "needs the Python package unsloth, which is not installed; run make install on this machine"
    else:
        return
    raise ConfigError(f"{FORM_TITLES[form]} {reason}. Choose a form of the studio's own, which any machine can make.")
