"""Adapters beside one copy of the base model's weights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftConfig, PeftModel
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from core.engine.serving.protocol import BASE
from core.errors import ModelError, lacks_memory

_NO_ADAPTER = "__base__"
"""What PEFT calls a row of a mixed batch that no adapter changes."""
_FAULTS = (RuntimeError, ValueError, KeyError, TypeError, OSError, SafetensorError)
"""What PEFT and safetensors raise over adapters that are damaged or made for another model."""


class Adapters:
    """The LoRA adapters of a base model, by name.

    Only the thread that runs the model calls what changes it; `names` and `inner` may be called by any.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._base = model
        self._wrapped: Any = None
        self._loaded: dict[str, str] = {}
        self._retired: set[str] = set()
        self._numbers = count(1)

    @property
    def model(self) -> Any:
        """What is to be run: the base model, with adapters on it where there are any."""
        return self._base if self._wrapped is None else self._wrapped

    def names(self) -> list[str]:
        """The adapters that can be asked, beside the base model."""
        return list(self._loaded)

    def inner(self, name: str) -> str | None:
        """The name by which the model knows an adapter or `base`; None when it is not loaded."""
        return _NO_ADAPTER if name == BASE else self._loaded.get(name)

    def known(self, inner: str) -> bool:
        """Whether the model still has the adapter of that inner name."""
        return inner == _NO_ADAPTER or (self._wrapped is not None and inner in self._wrapped.peft_config)

    def of_rows(self, inner: Sequence[str]) -> dict[str, Any]:
        """The arguments by which the model gives each row of a batch its own adapter, or none."""
        return {} if self._wrapped is None else {"adapter_names": list(inner)}

    def load(self, name: str, folder: Path) -> None:
        """Load an adapter; one that is loaded under this name already stays as it is.

        Raises:
            ModelError: it cannot be read, is of a kind that cannot be served, or does not fit this base model. Then
                nothing has changed.
        """
        if name in self._loaded:
            return
        config = _checked(folder)
        inner = f"adapter-{next(self._numbers)}"  # PEFT refuses some characters in names
        try:
            if self._wrapped is None:
                self._wrapped = PeftModel(self._base, config, inner)
            found = self._wrapped.load_adapter(str(folder), inner, torch_device=str(self._base.device))
            if found.missing_keys or found.unexpected_keys:
                raise KeyError("its layers are not those of the model")
        except _FAULTS as error:
            self._remove(inner)
            if lacks_memory(error):
                raise
            raise ModelError(
                f"The adapter in {folder} does not fit the model that is loaded: it belongs to another base model or "
                f"is damaged ({_first_line(error)}). Choose the adapter's own base model."
            ) from error
        self._loaded[name] = inner

    def unload(self, name: str) -> bool:
        """Give an adapter up; answers that are being written keep it. Returns whether there was one."""
        inner = self._loaded.pop(name, None)
        if inner is not None:
            self._retired.add(inner)
        return inner is not None

    def forget_retired(self, in_use: Collection[str]) -> None:
        """Free the memory of adapters that were given up, but for those that answers still need."""
        for inner in self._retired - set(in_use):
            self._remove(inner)
            self._retired.discard(inner)

    def _remove(self, inner: str) -> None:
        if self._wrapped is None:
            return
        others = [other for other in self._wrapped.peft_config if other != inner]
        if others:
            self._wrapped.set_adapter(others[0])
            if inner in self._wrapped.peft_config:
                self._wrapped.delete_adapter(inner)
        else:
            self._wrapped.unload()
            self._wrapped = None


def _checked(folder: Path) -> PeftConfig:
    """An adapter's configuration, when it can be mixed with others in a batch and leaves the base's weights alone."""
    try:
        config = PeftConfig.from_pretrained(str(folder))
        with safe_open(folder / "adapter_model.safetensors", "pt") as file:
            tensors = list(file.keys())
    except _FAULTS as error:
        raise ModelError(
            f"The adapter in {folder} cannot be read ({_first_line(error)}). It is damaged "
            "or no adapter: choose another checkpoint of the run."
        ) from error
    kind = getattr(config.peft_type, "value", config.peft_type)
    if not isinstance(config, LoraConfig) or config.use_dora or config.target_parameters:
        raise ModelError(
            f"The adapter in {folder} is of a kind that cannot share a model with others ({kind}, not plain LoRA). "
            "Merge it into its base model and choose the merged model."
        )
    own = ("lora_", *(config.modules_to_save or ()))
    changed = next((tensor for tensor in tensors if not any(part in tensor for part in own)), None)
    if changed is not None:
        raise ModelError(
            f"The adapter in {folder} would replace a weight of the base model itself ({changed}). Merge it into its "
            "base model and choose the merged model."
        )
    config.inference_mode = True
    return config


def _first_line(error: Exception) -> str:
    """What a library says, as far as it fits into a sentence."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
