"""What people write on a run after the fact: a title, tags, a note, and whether it is put away.

It lies in `<run>/label.json`, which the studio and the command line write and the run's job never does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from core.access import audit
from core.access.permissions import allow
from core.config import validation_sentence
from core.errors import ConfigError, RunError
from core.locks import locked
from core.paths import write_json
from core.runs.run import Run
from core.settings_base import Settings

LABEL = "label.json"
TAG_CHARACTERS = 40
MOST_TAGS = 20
_LOCK_SECONDS = 10.0
_BUSY = "Another label is just being written, so this one was not. Try again in a moment."


class Label(Settings):
    """What a run is called and marked with. Every part may be empty."""

    title: str = Field(default="", max_length=120)
    """Shown in place of the name that was given at the start."""
    tags: tuple[str, ...] = ()
    note: str = Field(default="", max_length=4000)
    archived: bool = False
    """Whether the run is left out of lists; nothing else changes."""

    @model_validator(mode="after")
    def _reads_well(self) -> Self:
        if not self.title.isprintable():
            raise ValueError("the title must be one line without control characters")
        for tag in self.tags:
            if not 1 <= len(tag) <= TAG_CHARACTERS or not tag.isprintable() or tag != tag.strip():
                raise ValueError(
                    f"the tag {tag!r} must be 1 to {TAG_CHARACTERS} characters without control characters, and without "
                    "spaces around them"
                )
        if len(set(self.tags)) < len(self.tags):
            raise ValueError("a tag stands there twice; give each once")
        if len(self.tags) > MOST_TAGS:
            raise ValueError(f"a run has at most {MOST_TAGS} tags and this would be {len(self.tags)}; remove some")
        return self


def label_file(run: Run) -> Path:
    """Where a run's label lies."""
    return run.folder / LABEL


def parse_label(text: str | bytes) -> Label:
    """The label that a JSON text holds.

    Raises:
        ConfigError: it is no label; the message says what is wrong with it.
    """
    try:
        return Label.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def read_label(run: Run) -> Label:
    """What is written on a run; an empty label when nobody has written anything.

    Raises:
        RunError: the file has been damaged.
    """
    try:
        return parse_label(label_file(run).read_bytes())
    except FileNotFoundError:
        return Label()
    except ConfigError as error:
        raise RunError(f"The label of {run.id} cannot be read. Correct or remove {label_file(run)}. {error}") from error


def change_label(
    run: Run,
    *,
    title: str | None = None,
    note: str | None = None,
    archived: bool | None = None,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
) -> Label:
    """Change what is written on a run and return it; None leaves a part as it is.

    Args:
        add, remove: tags, without the spaces around them. One that is there already, or is not there, is no fault.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: a tag or the title is not allowed.
        RunError: the run is gone, or its label is damaged.
    """
    allow("run.label")
    texts = {"title": title, "note": note}
    changes: dict[str, Any] = {name: text.strip() for name, text in texts.items() if text is not None}
    changes |= {} if archived is None else {"archived": archived}
    with locked(run.folder.parent / ".labels.lock", _LOCK_SECONDS, _BUSY, RunError):  # or one change undoes another
        if not run.config_file.is_file():
            raise RunError(f"{run.id} is not there any more, so nothing was written on it.")
        label = read_label(run)
        tags = dict.fromkeys([*label.tags, *(tag.strip() for tag in add)])
        gone = {tag.strip() for tag in remove}
        changed = parse_label(json.dumps(label.model_dump() | changes | {"tags": [t for t in tags if t not in gone]}))
        if changed != label:
            write_json(label_file(run), changed.model_dump(mode="json"))
            audit.record(audit.home_of(run.folder), "run.label", run.id, archived=changed.archived)
    return changed
