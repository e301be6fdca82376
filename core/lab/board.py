"""A board: groups of sample completions with everything that was measured of them.

What is expensive (similarity, fluency, custom rewards, the judge) is measured once, in a job, and kept beside the
texts, so that moving a weight measures nothing. A reward configuration picks its columns: a fluency for each of its
three meanings, tags for each of the two parsers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.config import COMPONENTS, DEFAULT_TAGS, RewardConfig, Tags
from core.content_hash import content_hash
from core.errors import DataError
from core.reward.formula import Floats, fill_missing
from core.reward.identity import component_identity
from core.reward.scoring import Sample


@dataclass(frozen=True)
class Board:
    """Completions in groups, one group for each prompt.

    Attributes:
        title: what the user calls it; text from outside.
        samples: the completions, those of a group beside each other.
        kinds: what each completion is an example of, such as `good` or `unsafe`; empty where nobody said.
        grades: how good a person found each completion, higher is better, shape (completions,); NaN where nobody said.
            Completions of one group are compared, never those of two.
        valid, well_formed: shape (completions,).
        measures: scores by the name of their column (see `column`), each of shape (completions,); NaN where a component
            had no opinion.
        notes: what the user should know of it, such as groups from which nothing can be learned.
        tags: the names of the tags by which the completions are read.
    """

    title: str
    samples: tuple[Sample, ...]
    kinds: tuple[str, ...]
    grades: Floats
    valid: NDArray[np.bool_]
    well_formed: NDArray[np.bool_]
    measures: Mapping[str, Floats]
    notes: tuple[str, ...] = field(default=())
    tags: Tags = DEFAULT_TAGS

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups, in the order of their first completion."""
        return tuple(dict.fromkeys(sample.group for sample in self.samples))

    @cached_property
    def index(self) -> NDArray[np.intp]:
        """Which of `groups` each completion belongs to, shape (completions,)."""
        number = {group: position for position, group in enumerate(self.groups)}
        return np.array([number[sample.group] for sample in self.samples], dtype=np.intp)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """What names each completion for good: the hash of its question, reference and text."""
        return tuple(sample_key(sample) for sample in self.samples)

    def missing(self, config: RewardConfig) -> tuple[str, ...]:
        """The components of `config` that have not been measured here."""
        return tuple(name for name in config.components if column(name, config) not in self.measures)

    def components(self, config: RewardConfig) -> Floats:
        """The scores of the components of `config`, shape (completions, components), without gaps.

        Raises:
            DataError: one of them has not been measured on these completions.
        """
        missing = self.missing(config)
        if missing:
            raise DataError(
                f"{', '.join(missing)} has not been measured on these completions. Measure it, or choose completions "
                "that have it."
            )
        table = np.column_stack([self.measures[column(name, config)] for name in config.components])
        return fill_missing(table, self.index)


def column(component: str, config: RewardConfig) -> str:
    """The measure that a component reads under `config`.

    Fluency and tags mean different things under different configurations, and other models, another text of a custom
    reward and a judge that is told something else have columns of their own. A custom reward whose hash `config` does
    not have is never measured: see `core.reward.ready`.
    """
    if component == COMPONENTS[0]:
        return f"semantic {config.similarity_model}"
    if component == COMPONENTS[1]:
        return f"fluency {config.fluency} {config.fluency_model}"
    if component == COMPONENTS[2]:
        return f"tags {config.parser}"
    return component_identity(config, component)


def sample_key(sample: Sample) -> str:
    """Sixteen hexadecimal digits that name a completion together with what it is judged against."""
    return content_hash((sample.question, sample.reference, sample.completion)).hex()[:16]


def in_groups(samples: Sequence[Sample]) -> list[int]:
    """An order of `samples` in which those of one group stand beside each other, groups in their first order."""
    first: dict[str, int] = {}
    for sample in samples:
        first.setdefault(sample.group, len(first))
    return sorted(range(len(samples)), key=lambda row: first[samples[row].group])
