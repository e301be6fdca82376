"""The settings of runs, and what differs between those of several, setting by setting in words that people read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any

from core.config import RunConfig
from core.training.fields import label

_SHOWN = 160
"""How many characters of a value are shown."""
_BEFORE = 20
"""How many characters that texts have in common are shown before the place where they part."""
_HASH = 12
_HASHES = ("fingerprint", "sha256")
_ABSENT = object()
"""In the place of a setting that a configuration does not have, such as the weight of a custom reward."""


@dataclass(frozen=True)
class Setting:
    """One setting that is not the same in all of several configurations.

    Attributes:
        path: where it stands, such as `train.steps`, `reward.weights.tags` or `prompt.examples.0.answer`.
        label: what it is called.
        values: as they are shown, one for each configuration in its order.
    """

    path: str
    label: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """One setting in which two configurations differ; the attributes are those of `Setting`."""

    path: str
    label: str
    left: str
    right: str


def difference(a: RunConfig, b: RunConfig) -> list[Difference]:
    """The settings in which two runs differ, in the order of the configuration."""
    return [Difference(row.path, row.label, *row.values) for row in differing((a, b))]


def differing(configs: Sequence[RunConfig]) -> list[Setting]:
    """The settings that are not the same in all of `configs`, in the order of the configuration."""
    dumped = [config.model_dump() for config in configs]
    return [Setting(path, label(path), _shown(path, values)) for path, values in _leaves("", dumped)]


@dataclass(frozen=True)
class Told:
    """One setting of one configuration: where it stands, what it is called, and its whole value in words."""

    path: str
    label: str
    value: str


def every_setting(config: RunConfig) -> list[Told]:
    """The settings of a run in the order of the configuration, each in words."""
    return [Told(path, label(path), _text(value)) for path, value in _ends("", config.model_dump())]


def _ends(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every place at or below `path` that holds a value and not a group of settings."""
    if _hold_groups([value]):
        value = _keyed(value)
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _ends(f"{path}.{name}" if path else name, inner)
    else:
        yield path, () if isinstance(value, Mapping) else value


def _leaves(path: str, values: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Every place at or below `path` where `values` part, with what stands there."""
    groups = [value for value in values if isinstance(value, Mapping)]
    if groups and all(isinstance(value, Mapping) or value is None or value is _ABSENT for value in values):
        for name in dict.fromkeys(chain.from_iterable(groups)):
            inside = [value.get(name, _ABSENT) if isinstance(value, Mapping) else _ABSENT for value in values]
            yield from _leaves(f"{path}.{name}" if path else name, inside)
    elif _hold_groups(values):
        yield from _leaves(path, [_keyed(value) for value in values])
    elif len({repr(value) for value in values}) > 1:  # by their texts, since 1, 1.0 and True are equal
        yield path, values


def _hold_groups(values: Sequence[Any]) -> bool:
    """Whether these are lists of groups of settings, as the examples and the custom rewards are."""
    items = [item for value in values if isinstance(value, tuple) for item in value]
    return bool(items) and all(isinstance(item, Mapping) for item in items)


def _keyed(value: Any) -> dict[str, Any]:
    """The groups of a list by their name where they have one, else by their place."""
    items = value if isinstance(value, tuple) else ()
    return {str(item.get("name", place)): item for place, item in enumerate(items)}


def _shown(path: str, values: Sequence[Any]) -> tuple[str, ...]:
    """Values as text of one line; long ones begin shortly before the place where they part."""
    texts = [_text(value) for value in values]
    if path.rpartition(".")[2] in _HASHES:
        return tuple(text[:_HASH] for text in texts)
    if max(map(len, texts)) <= _SHOWN:
        return tuple(texts)
    there = [text for text, value in zip(texts, values, strict=True) if value is not _ABSENT]
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*there, strict=False)))
    return tuple(_from(text, max(shared - _BEFORE, 0)) for text in texts)


def _from(text: str, start: int) -> str:
    """The part of a text that begins at `start`, with dots where something is missing."""
    end = start + _SHOWN
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "") if start < len(text) else text


def _text(value: Any) -> str:
    """A value in words; what cannot be seen in a text, such as the end of a line, is written out."""
    if value is _ABSENT:
        return "–"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, str):
        return repr(value)[1:-1] or "empty"
    return str(value)
