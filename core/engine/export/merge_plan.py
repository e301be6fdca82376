"""Which tensors a merged model has, and how each is made from the base model's and the adapter's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from core.engine.export.lora_delta import Change, LoraAdapter
from core.engine.export.shards import Planned
from core.engine.export.weights import FLOATS, Entry, Weights, blocks
from core.errors import ModelError

_HEAD = "lm_head.weight"
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight")


class TooLarge(Exception):
    """A weight is no finite number in the format in which it should be written."""


@dataclass(frozen=True)
class MergePlan:
    """What is written, in the base model's order.

    Attributes:
        sources: the base model's tensor that each one is made from.
        untied: whether the base model uses its input embedding as output embedding, too, and the adapter changes only
            one of them. PEFT's own merge would change both, and the merged model would answer differently.
    """

    base: Weights
    adapter: LoraAdapter | None
    planned: tuple[Planned, ...]
    sources: Mapping[str, str]
    untied: bool

    def fill(self, planned: Planned, made: torch.Tensor) -> None:
        """Write the numbers of one tensor into `made`, calculated in float32, a few rows at a time.

        Raises:
            TooLarge: a number is not finite in the tensor's format.
        """
        source, change = self.sources[planned.name], self._change(planned.name)
        if not planned.shape:
            made.copy_(self.base.whole(source))
            return
        for start, stop in blocks(planned.shape):
            made[start:stop] = self._rows(source, change, planned.shape, start, stop)
            if made.is_floating_point() and not torch.isfinite(made[start:stop]).all():
                raise TooLarge(planned.name)

    def _rows(self, source: str, change: Change, shape: tuple[int, ...], start: int, stop: int) -> torch.Tensor:
        if change.replacement and self.adapter is not None:
            rows = self.adapter.weights.rows(change.replacement, start, stop)
        else:
            rows = self.base.rows(source, start, stop)
        if change.down and self.adapter is not None:
            rows = rows.float() + self.adapter.delta(change, shape, start, stop)
        return rows

    def _change(self, name: str) -> Change:
        return self.adapter.changes.get(name, Change()) if self.adapter is not None else Change()


def make_plan(base: Weights, adapter: LoraAdapter | None, dtype: torch.dtype | None, tied: bool) -> MergePlan | None:
    """The plan, or None where the adapter's names are not those of the base model's files.

    Args:
        adapter: None for the base model as it is.
        dtype: what the base model's floating-point tensors become; None leaves each as it is.
        tied: whether the base model uses its input embedding as output embedding, too.

    Raises:
        ModelError: a tensor of the adapter has another shape than the base model's.
    """
    changes = adapter.changes if adapter is not None else {}
    sources = {name: name for name in base.entries}
    embedding = next((name for name in sources if name.endswith(_EMBEDDINGS)), "")
    untied = tied and bool(embedding) and not changes.keys().isdisjoint((_HEAD, embedding))
    if untied:
        sources.setdefault(_HEAD, embedding)
    if not changes.keys() <= sources.keys():
        return None
    for name, change in changes.items():
        _refuse_other_shape(name, base.entries[sources[name]], adapter, change)
    planned = tuple(
        Planned(name, base.entries[source].shape, _format(base, source, dtype)) for name, source in sources.items()
    )
    return MergePlan(base, adapter, planned, sources, untied)


def _format(base: Weights, name: str, dtype: torch.dtype | None) -> torch.dtype:
    stored = base.entries[name].dtype
    if stored not in FLOATS:
        return base.rows(name, 0, 0).dtype if base.entries[name].shape else base.whole(name).dtype
    return dtype if dtype is not None else FLOATS[stored]


def _refuse_other_shape(name: str, entry: Entry, adapter: LoraAdapter | None, change: Change) -> None:
    fitting = adapter.shape_of(change, entry.shape) if adapter is not None else entry.shape
    if fitting != entry.shape:
        has, wants = ("x".join(map(str, shape)) for shape in (entry.shape, fitting))
        raise ModelError(
            f"The adapter does not fit the base model: it changes {name} of shape {wants} and the model's is {has}. An "
            "adapter only fits the model it was trained on; choose that one."
        )
