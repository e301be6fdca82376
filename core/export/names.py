"""What a base model is called where others read it."""

from __future__ import annotations

from pathlib import Path

from core.config import EMBEDDED_POLICY
from core.models import EMBEDDED

_PUBLISHED = {EMBEDDED_POLICY: "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""Where embedded models were published."""


def public_name(model: str) -> str:
    """The name of a model on the Hugging Face Hub; empty for a folder of this machine.

    >>> public_name("smollm2-135m-instruct"), public_name("org/model")
    ('HuggingFaceTB/SmolLM2-135M-Instruct', 'org/model')
    """
    if model in EMBEDDED:
        return _PUBLISHED.get(model, "")
    return "" if Path(model).expanduser().is_dir() or Path(model).is_absolute() else model
