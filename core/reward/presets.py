"""Reward presets: those built in, and those that the user has saved in `<home>/presets/`, one JSON file each.

A saved preset is a `RewardConfig` without the hashes of its custom rewards: a run takes the files as they are when it
starts. What a run was given stands in the run, so changing or deleting a preset never changes a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from core.access import audit
from core.access.permissions import allow
from core.config import RewardConfig, validation_sentence
from core.errors import ConfigError
from core.locks import locked
from core.paths import Home, is_name, storage_error, valid_name, write_json
from core.reward.custom_files import unhashed
from core.reward.formula import PRESETS

_LOCK_SECONDS = 10
_BUSY = "Another preset is just being saved, so this one was not. Try again in a moment."


@dataclass(frozen=True)
class BrokenPreset:
    """A file that should hold a preset and does not.

    Attributes:
        name: of the file, without `.json`; text from outside.
        reason: why it cannot be used, in one sentence or two.
    """

    name: str
    reason: str


def all_presets(home: Home) -> dict[str, RewardConfig]:
    """Every preset by its name: built in first, then saved ones by name; broken ones are left out."""
    saved = {name: found for name, found in _saved(home) if isinstance(found, RewardConfig)}
    return {**PRESETS, **saved}


def broken_presets(home: Home) -> tuple[BrokenPreset, ...]:
    """The files in the folder of presets that hold none, and why."""
    return tuple(found for _, found in _saved(home) if isinstance(found, BrokenPreset))


def reward_named(home: Home, name: str) -> RewardConfig:
    """The preset of that name.

    Raises:
        ConfigError: there is none, or its file is broken; the message lists what there is.
    """
    presets = all_presets(home)
    if name in presets:
        return presets[name]
    broken = next((preset.reason for preset in broken_presets(home) if preset.name == name), None)
    problem = (
        f"The reward preset {name!r} cannot be used: {broken}" if broken else f"There is no reward preset {name!r}."
    )
    raise ConfigError(f"{problem} Choose one of {', '.join(presets)}.")


def save_preset(home: Home, name: str, config: RewardConfig, replace: bool = False) -> RewardConfig:
    """Keep `config` under a name of the user's; returns it as it was kept.

    Args:
        replace: whether a saved preset of that name may be replaced.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: the name cannot be used or is taken.
        StorageError: the disk is full, the home cannot be written, or another preset is being saved.
    """
    allow("preset.save")
    check_new_name(home, name, replace)
    kept = unhashed(config).model_copy(update={"preset": name})
    try:
        with locked(home.presets / ".lock", _LOCK_SECONDS, _BUSY):
            check_new_name(home, name, replace)
            write_json(_file(home, name), kept.model_dump(mode="json"))
    except OSError as error:
        raise storage_error(error, _file(home, name)) or error from error
    audit.record(home, "preset.save", name, replaced=replace)
    return kept


def check_new_name(home: Home, name: str, replace: bool = False) -> None:
    """Refuse a name that `save_preset` would refuse, before work is spent on what is to be saved.

    Raises:
        ConfigError: the name is not valid, is that of a built-in preset, or is taken.
    """
    valid_name(name, "The name of the preset")
    if name in PRESETS:
        raise ConfigError(f"{name!r} is a preset of the studio itself. Choose another name.")
    if not replace and _file(home, name).exists():
        raise ConfigError(f"There is a preset {name!r} already. Choose another name, or delete that one first.")


def delete_preset(home: Home, name: str) -> None:
    """Delete a saved preset, broken ones included.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: it is built in, or there is none of that name.
    """
    allow("preset.delete")
    if name in PRESETS:
        raise ConfigError(f"{name!r} is a preset of the studio itself and cannot be deleted.")
    try:
        _file(home, valid_name(name, "The name of the preset")).unlink()
    except FileNotFoundError as error:
        raise ConfigError(f"There is no saved preset {name!r}.") from error
    audit.record(home, "preset.delete", name)


def _file(home: Home, name: str) -> Path:
    return home.presets / f"{name}.json"


def _saved(home: Home) -> Iterator[tuple[str, RewardConfig | BrokenPreset]]:
    for file in sorted(home.presets.glob("[!.]*.json")):
        name = file.name.removesuffix(".json")
        found = _read(file, name)
        yield name, BrokenPreset(name, found) if isinstance(found, str) else found


def _read(file: Path, name: str) -> RewardConfig | str:
    """The preset in `file`, or why there is none."""
    if name in PRESETS:
        return "Its name is that of a preset of the studio itself. Rename the file."
    if not is_name(name):
        return "Its name can have lower-case letters, digits, '.', '_' and '-' only. Rename the file."
    try:
        return RewardConfig.model_validate_json(file.read_bytes()).model_copy(update={"preset": name})
    except OSError as error:
        return f"The file cannot be read ({error.strerror})."
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            return "The file is not valid JSON. Correct it or delete it."
        return validation_sentence(error)
