"""What every setting of a run is called and does to the result: one table for the form, messages and differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo

from core.config import RunConfig
from core.reward.verdicts import component_title
from core.training import field_texts

Group = Literal["question", "essential", "memory", "algorithm", "advanced"]
"""Where the form asks for a setting: by itself, or in one of the four groups of the settings."""
GROUPS: Mapping[Group, str] = {
    "essential": "Essential",
    "memory": "Memory and speed",
    "algorithm": "Algorithm",
    "advanced": "Advanced",
}
_WEIGHTS = "reward.weights."


@dataclass(frozen=True)
class Field:
    """One setting.

    Attributes:
        path: where it stands in the configuration, with dots.
        label: what it is called.
        help: what it does to the result.
        group: where the form asks for it.
    """

    path: str
    label: str
    help: str
    group: Group


def _fields() -> dict[str, Field]:
    tables: dict[Group, field_texts.Rows] = {
        "question": field_texts.QUESTIONS,
        "essential": field_texts.ESSENTIAL,
        "memory": field_texts.MEMORY,
        "algorithm": field_texts.ALGORITHM,
        "advanced": field_texts.ADVANCED,
    }
    return {path: Field(path, label, text, group) for group, rows in tables.items() for path, label, text in rows}


FIELDS: Mapping[str, Field] = _fields()
"""Every setting by its path, in the order of the form."""


def in_group(group: Group) -> tuple[Field, ...]:
    """The settings that one group of the form asks for."""
    return tuple(field for field in FIELDS.values() if field.group == group)


def label(path: str) -> str:
    """What a setting is called; a part of one by the whole and its own name, and the path itself for any other.

    >>> label("train.beta"), label("reward.weights.tags"), label("prompt.examples.0.answer")
    ('KL weight (beta)', 'Weight of tags', 'Worked examples: 0.answer')
    """
    if path.startswith(_WEIGHTS):
        return f"Weight of {component_title(path.removeprefix(_WEIGHTS)).lower()}"
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        known, rest = FIELDS.get(".".join(parts[:count])), ".".join(parts[count:])
        if known is not None:
            return f"{known.label}: {rest}" if rest else known.label
    return path


def group_of(path: str) -> Group:
    """Where the form asks for a setting, or for the one that it is a part of.

    >>> group_of("train.beta"), group_of("reward.weights.tags"), group_of("train.trl.delta")
    ('algorithm', 'question', 'advanced')
    """
    parts = path.split(".")
    parents = (FIELDS.get(".".join(parts[:count])) for count in range(len(parts), 0, -1))
    return next((field.group for field in parents if field is not None), "question")


def value_at(config: RunConfig, path: str) -> Any:
    """The value of a setting."""
    found: Any = config
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else getattr(found, name)
    return found


def field_info(path: str) -> FieldInfo:
    """What the configuration says about a setting."""
    model: Any = RunConfig
    *parents, leaf = path.split(".")
    for name in parents:
        model = model.model_fields[name].annotation
    info: FieldInfo = model.model_fields[leaf]
    return info


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """The smallest and the largest value a setting may have; None where there is no bound, or an open one."""
    low = next((float(rule.ge) for rule in info.metadata if hasattr(rule, "ge")), None)
    high = next((float(rule.le) for rule in info.metadata if hasattr(rule, "le")), None)
    return low, high
