"""How much disk an export takes, reckoned before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from core.errors import StorageError
from core.export.request import (
    FORM_TITLES,
    FORMS,
    OWN_GGUF_FORMS,
    QUANTISED,
    UNSLOTH_GGUF_FORMS,
    ExportRequest,
    Form,
)
from core.paths import Home
from core.runs.files import Size
from core.runs.run import find_run
from core.serving.adapter_files import WEIGHTS
from core.serving.candidates import adapter_candidate, adapter_of
from core.training.model_shape import ModelShape, model_shape

_BLOCK = 256
"""The numbers that a K-quant packs together; matrices with rows that are no multiple of it take a larger type."""
_BITS: Mapping[Form, tuple[float, float]] = {
    "gguf_q8_0": (8.6, 8.6),
    "gguf_q5_k_m": (6.0, 6.8),
    "gguf_q4_k_m": (5.3, 6.4),
    "unsloth_q8_0": (8.6, 8.6),
    "unsloth_q4_k_m": (5.3, 6.4),
}
"""Bits for each parameter where rows are a multiple of `_BLOCK`, and where they are not: a little more than measured on
Llama 3.1 8B (5.7 and 4.9) and on SmolLM2 135M (6.7 and 6.3), since embeddings of a small model weigh more."""
_FOUR_BIT_BYTES = 0.57
"""Bytes for each parameter of a linear layer in bitsandbytes' NF4 with double quantisation, its scales included."""
_BESIDE_BYTES = 10_000_000
"""For tokenizer, template and texts, once for each form."""


@dataclass(frozen=True)
class DiskNeed:
    """How much disk an export takes; estimates, except for what is only copied.

    Attributes:
        forms: what stays, by form.
        peak: the most that is there at one moment, with forms that are only made on the way to others.
        free: what there is where the run lies.
    """

    forms: Mapping[Form, int]
    peak: int
    free: int

    @property
    def total(self) -> int:
        """What stays in the end."""
        return sum(self.forms.values())

    @property
    def fits(self) -> bool:
        return self.peak <= self.free


def needed_bytes(home: Home, request: ExportRequest, made: Collection[Form] = ()) -> DiskNeed | None:
    """What an export takes; None when the size of the base model cannot be told.

    Args:
        made: forms that are there already.

    Raises:
        RunError: the run is gone, or has no such adapter.
        ConfigError: the run's configuration cannot be read.
        ModelError: the adapter is damaged, or belongs to another base model than the run's.
    """
    run = find_run(home, request.run)
    adapter = adapter_of(home, adapter_candidate(run, request.checkpoint))
    shape = model_shape(run.config().model, home)
    if shape is None:
        return None
    weights = (adapter.folder / WEIGHTS).stat().st_size
    sizes = {form: _bytes(form, shape, weights) for form in FORMS}
    forms = tuple(form for form in request.forms if form not in made)
    free = shutil.disk_usage(run.folder).free
    return DiskNeed({form: sizes[form] for form in forms}, _peak(sizes, forms, made), free)


def check_disk(home: Home, request: ExportRequest, made: Collection[Form] = ()) -> None:
    """Make sure that an export fits, as far as that can be told; raises as `needed_bytes` does.

    Raises:
        StorageError: it does not; the sentence says what is needed and what there is.
    """
    need = needed_bytes(home, request, made)
    if need is None or need.fits:
        return
    largest = max(need.forms, key=lambda form: need.forms[form])
    raise StorageError(
        f"This export needs about {Size(need.peak, whole=True)} of disk while it is made, and "
        f"{Size(need.free, whole=True)} are free. Free some space, or choose fewer forms: {FORM_TITLES[largest]} takes "
        f"{Size(need.forms[largest], whole=True)}."
    )


def _bytes(form: Form, shape: ModelShape, adapter: int) -> int:
    if form == "adapter":
        return adapter + _BESIDE_BYTES
    if form in _BITS:
        wide, narrow = _BITS[form]
        bits = narrow if shape.hidden % _BLOCK else wide
        return int(shape.parameters * bits / 8) + _BESIDE_BYTES
    if form == "merged_4bit":
        other = shape.parameters - shape.linear_parameters
        return int(shape.linear_parameters * _FOUR_BIT_BYTES + 2 * other) + _BESIDE_BYTES
    return 2 * shape.parameters + _BESIDE_BYTES


def _peak(sizes: Mapping[Form, int], forms: Collection[Form], made: Collection[Form]) -> int:
    """The most at one moment: while others are made of merged weights, or when the quantised ones are made of f16.

    Merged weights that nobody asked for are removed as soon as nothing is made of them any more; a copy of the adapter
    is there until the end. Unsloth merges by itself and makes a GGUF file in 16 bits before it quantises.
    """
    quantised = sum(sizes[form] for form in QUANTISED if form in forms)
    kept = sum(sizes[form] for form in forms if form not in OWN_GGUF_FORMS)
    on_unsloths_way = 2 * sizes["unsloth_merged"] if any(form in UNSLOTH_GGUF_FORMS for form in forms) else 0
    f16 = sizes["gguf_f16"] if makes_f16(forms, made) else 0
    of_merged = f16 or "merged_4bit" in forms
    merged = sizes["merged"] if of_merged and "merged" not in (*forms, *made) else 0
    return (sizes["adapter"] if forms else 0) + kept + f16 + max(merged, quantised + on_unsloths_way)


def makes_f16(forms: Collection[Form], made: Collection[Form]) -> bool:
    """Whether GGUF f16 is made, be it only on the way to others.

    Args:
        forms: what is still to be made.
        made: forms that are there already.
    """
    wanted = any(form in OWN_GGUF_FORMS for form in forms)
    return wanted and "gguf_f16" not in made
