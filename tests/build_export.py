"""Runs with something to export, and exports: made of files that are made up, or of the tiny policy with an adapter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.config import with_changes
from core.export.manifest import file_entries, files_below, software_versions
from core.export.parity_report import FormParity, ParityReport
from core.export.request import GGUF_FORMS, Form, make_export_request
from core.export.store import Export, adapter_to_export, create_export
from core.jobs.tasks import silent
from core.paths import Home
from core.presets import preset_config
from core.runs.run import Run, create_run
from core.serving.adapter_files import WEIGHTS
from tests.build_adapters import adapted_run, save_adapter, save_base, save_checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ALL: tuple[Form, ...] = ("adapter", "merged", "gguf_f16", "gguf_q8_0", "gguf_q5_k_m", "gguf_q4_k_m")
"""Every form that a machine without a GPU makes."""


def exportable_run(home: Home, folder: Path) -> Run:
    """A run with a final adapter, a best one and a checkpoint of step 2; weights are zero, nothing heavy is imported.

    Args:
        folder: where the base model is put; it must not be there.
    """
    base = save_base(folder)
    run = adapted_run(home, base)
    save_checkpoint(run, 2, base)
    return run


def new_export(home: Home, run: Run, forms: Sequence[Form] = ALL, **values: object) -> Export:
    """An export that nothing is made of yet; `values` are further fields of its request."""
    return create_export(home, make_export_request(run=run.id, forms=tuple(forms), **values))


def made_up_export(home: Home, run: Run, forms: Sequence[Form] = ALL, **values: object) -> Export:
    """An export whose forms are whole as far as lists and manifest go; what its files hold no program could load."""
    export = new_export(home, run, forms, **values)
    manifest = export.manifest().model_copy(
        update={
            "base_model": run.config().model,
            "adapter_sha256": "0" * 64,
            "software": dict(software_versions()),
        }
    )
    for number, form in enumerate(export.request().forms):
        files = _made_up_files(export, form, 1_000 * (number + 1))
        manifest = manifest.with_form(form, file_entries(export.folder, files, silent))
    export.keep_manifest(manifest.model_copy(update={"described": manifest.forms}))
    return export


def compared_export(home: Home, run: Run, forms: Sequence[Form] = ALL, **values: object) -> Export:
    """As `made_up_export`, with a parity report that has nothing against any of the forms."""
    export = made_up_export(home, run, forms, **values)
    export.keep_parity(ParityReport(forms=tuple(FormParity(form=form) for form in export.made)))
    return export


def _made_up_files(export: Export, form: Form, size: int) -> list[Path]:
    folder = export.form_folder(form)
    folder.mkdir(exist_ok=True)
    if form in GGUF_FORMS:
        export.file_of(form).write_bytes(b"GGUF" + bytes(size))
        return [export.file_of(form)]
    (folder / "README.md").write_text("# Made up\n")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").write_bytes(bytes(size))
    return files_below(folder)


def tiny_run(home: Home, folder: Path, scale: float = 0.5, seed: int = 0, **changes: object) -> Run:
    """A run on the tiny policy with a final adapter that changes what it says; nothing has been trained.

    Args:
        folder: where the tiny policy is put as a model directory; one that is there is taken as it is.
        scale: of the numbers in the adapter's upper factors; 0 leaves the policy as it is.
        changes: settings by their dotted paths, with `__` for the dots.
    """
    from tests.tiny import save_policy

    if not folder.exists():
        save_policy(folder)
    settings = {name.replace("__", "."): value for name, value in changes.items()}
    given = {"model": str(folder), "adapter.rank": 4, **settings}
    run = create_run(home, with_changes(preset_config("demo"), given))
    save_tiny_adapter(folder, run.adapter, scale, seed)
    return run


def save_tiny_adapter(base: Path, target: Path, scale: float = 0.5, seed: int = 0) -> Path:
    """A LoRA adapter of the tiny policy with random factors, with the tokenizer beside it, as a run saves one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"]))
    for name, parameter in adapted.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=scale)
    adapted.save_pretrained(target)
    tiny_tokenizer(base).save_pretrained(target)
    return target


def tiny_tokenizer(base: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(base)
    return tokenizer


def other_base_adapter(run: Run, other: Path) -> None:
    """Put an adapter of another base model in the place of the run's."""
    for file in run.adapter.iterdir():
        file.unlink()
    save_adapter(run.adapter, other)


def adapter_weights(home: Home, export: Export) -> Path:
    """The weights file of the adapter that an export is of."""
    return adapter_to_export(home, export.request()).folder / WEIGHTS
