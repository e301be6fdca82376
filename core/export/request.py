"""What an export is asked for: which adapter, and in which forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from core.config import validation_sentence
from core.errors import ConfigError
from core.settings_base import Settings

Form = Literal[
    "adapter",
    "merged",
    "merged_4bit",
    "gguf_f16",
    "gguf_q8_0",
    "gguf_q5_k_m",
    "gguf_q4_k_m",
    "unsloth_merged",
    "unsloth_q8_0",
    "unsloth_q4_k_m",
]
"""What a trained model may be handed on as."""

FORMS: tuple[Form, ...] = get_args(Form)
"""In the order in which they are made."""
QUANTISED: tuple[Form, ...] = ("gguf_q8_0", "gguf_q5_k_m", "gguf_q4_k_m")
OWN_GGUF_FORMS: tuple[Form, ...] = ("gguf_f16", *QUANTISED)
UNSLOTH_GGUF_FORMS: tuple[Form, ...] = ("unsloth_q8_0", "unsloth_q4_k_m")
UNSLOTH_FORMS: tuple[Form, ...] = ("unsloth_merged", *UNSLOTH_GGUF_FORMS)
"""Made by Unsloth itself, of runs that it has trained."""
GGUF_FORMS: tuple[Form, ...] = (*OWN_GGUF_FORMS, *UNSLOTH_GGUF_FORMS)

FORM_TITLES: Mapping[Form, str] = {
    "adapter": "LoRA adapter",
    "merged": "Merged, 16 bits",
    "merged_4bit": "Merged, 4 bits (bitsandbytes)",
    "gguf_f16": "GGUF f16",
    "gguf_q8_0": "GGUF q8_0",
    "gguf_q5_k_m": "GGUF q5_k_m",
    "gguf_q4_k_m": "GGUF q4_k_m",
    "unsloth_merged": "Merged by Unsloth, 16 bits",
    "unsloth_q8_0": "GGUF q8_0 by Unsloth",
    "unsloth_q4_k_m": "GGUF q4_k_m by Unsloth",
}


class ExportRequest(Settings):
    """What is exported.

    Attributes:
        title: what lists call it; empty takes the name of the run.
        run: the id of the run whose adapter it is.
        checkpoint: which of its adapters: empty for the final one, `best`, or a step.
        forms: what is made.
        questions: how many each form is asked afterwards, to be held against the adapter.
        seed: which questions, of those that were never trained on.
    """

    title: str = Field(default="", max_length=200)
    run: str = Field(min_length=1)
    checkpoint: str = ""
    forms: tuple[Form, ...] = Field(min_length=1)
    questions: int = Field(default=8, ge=1, le=100)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="before")
    @classmethod
    def _always_compared(cls, values: Any) -> Any:
        """Requests that lie on disk may say whether answers are compared; they always are."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name != "parity"}

    @field_validator("forms")
    @classmethod
    def _in_order(cls, forms: tuple[Form, ...]) -> tuple[Form, ...]:
        if len(set(forms)) < len(forms):
            raise ValueError("names a form twice; name each once")
        return tuple(form for form in FORMS if form in forms)


def make_export_request(**values: object) -> ExportRequest:
    """The request that these values, named as the fields, describe.

    Raises:
        ConfigError: names every one that is wrong.
    """
    try:
        return ExportRequest.model_validate(values)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error
