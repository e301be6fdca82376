"""What somebody has decided about a table so far: columns, prompt, mends, split. Plain, small, kept on disk."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.config import EMBEDDED_POLICY, PromptConfig

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnMapping(_Model):
    """Which columns of a table mean what."""

    question: str
    answer: str
    split: str | None = None
    """A column that says which split a row belongs to; None splits by a hash of the question."""
    carried: tuple[str, ...] = ()
    """Further columns that reward functions may want."""


class Shares(_Model):
    """How the rows are split when no column says so; the rest is for training."""

    validation: float = Field(default=0.05, ge=0, lt=1)
    test: float = Field(default=0.1, ge=0, lt=1)


class DropRows(_Model):
    """Leave rows out."""

    kind: Literal["drop"] = "drop"
    reason: str
    rows: tuple[int, ...]


class StripReasoning(_Model):
    """Keep of these rows' answers only what is meant as the answer, without tags and reasoning."""

    kind: Literal["strip"] = "strip"
    rows: tuple[int, ...]


class Redact(_Model):
    """Put a placeholder such as [NAME] for each likely patient identifier in these rows."""

    kind: Literal["redact"] = "redact"
    rows: tuple[int, ...]


class Resplit(_Model):
    """Forget the table's own split column and split by a hash of the question."""

    kind: Literal["resplit"] = "resplit"


Mend = DropRows | StripReasoning | Redact | Resplit


class Draft(_Model):
    """Everything that turns a table into a prepared data set; mends are applied in their order."""

    table: str
    """The id of the table, see `core.data.tables`."""
    mapping: ColumnMapping
    prompt: PromptConfig
    model: str = EMBEDDED_POLICY
    shares: Shares = Shares()
    mends: tuple[Mend, ...] = ()
    max_prompt_length: int = Field(default=512, ge=16)
    max_completion_length: int = Field(default=256, ge=8)


def changed_fields(seen: BaseModel | None, wanted: BaseModel) -> dict[str, Any]:
    """What somebody has changed: the fields of `wanted` that are not as in `seen`; all of them when nothing was seen.

    Only these are put into a draft, which somebody else may have changed in other places since it was seen.

    >>> changed_fields(Shares(validation=0.1, test=0.2), Shares(validation=0.1, test=0.3))
    {'test': 0.3}
    """
    return {name: value for name, value in wanted if seen is None or value != getattr(seen, name)}
