"""What lies beside the weights of an export: model card, system prompt, Modelfiles, and commands for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.config import RunConfig
from core.errors import ModelError
from core.export.card import model_card
from core.export.commands import SYSTEM, commands_markdown, commands_of, modelfile_name, system_text
from core.export.manifest import file_entries
from core.export.modelfile import modelfile_parts
from core.export.request import GGUF_FORMS, Form
from core.export.store import CARD, COMMANDS, Export, adapter_to_export
from core.jobs.tasks import Tell
from core.paths import Home, write_bytes
from core.runs.run import find_run


def write_companions(home: Home, export: Export, base: Path, tell: Tell) -> Sequence[str]:
    """Write what belongs to the forms that are made, each file in one step, and take it into the manifest.

    Until all is written the manifest says that nothing is described, so that somebody goes on with a round that was
    broken off here.

    Args:
        base: the folder of the base model.

    Returns:
        sentences on what could not be written, such as a Modelfile.

    Raises:
        RunError: the run is gone, or has no such adapter any more.
        DataError: the export is damaged.
        ConfigError: the run's configuration cannot be read.
        StorageError: the disk is full.
    """
    config = find_run(home, export.run_id).config()
    made = export.made
    export.keep_manifest(export.manifest().model_copy(update={"described": ()}))
    ggufs = [form for form in GGUF_FORMS if form in made]
    refusal, files = "", list[Path]()
    if ggufs:
        try:
            files += _modelfiles(home, export, base, config, ggufs)
        except ModelError as error:
            refusal = str(error)
    rank = adapter_to_export(home, export.request()).rank
    commands = commands_of(export, config, rank, refusal)
    for folder, form in {export.form_folder(form): form for form in made}.items():
        own = commands_of(export, config, rank, refusal, folder)
        files.append(_written(folder / SYSTEM, system_text(config)))
        files.append(_written(folder / CARD, model_card(home, export, form, base, own)))
    files.append(_written(export.folder / COMMANDS, commands_markdown(export, config, commands)))
    described = export.manifest().with_files(file_entries(export.folder, files, tell))
    export.keep_manifest(described.model_copy(update={"described": made}))
    return [refusal] if refusal else []


def _modelfiles(home: Home, export: Export, base: Path, config: RunConfig, forms: Sequence[Form]) -> Sequence[Path]:
    parts = modelfile_parts(home, base, config)
    return [
        _written(export.form_folder(form) / modelfile_name(form), parts.text(export.file_of(form).name))
        for form in forms
    ]


def _written(file: Path, text: str) -> Path:
    write_bytes(file, text.encode("utf-8", "replace"))
    return file
