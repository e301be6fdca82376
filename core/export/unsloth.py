"""Which runs Unsloth itself exports, on which machines; see `core.engine.export.unsloth_forms`."""

from __future__ import annotations

from core.config import RunConfig
from core.errors import ConfigError
from core.export.request import FORM_TITLES, FORMS, UNSLOTH_FORMS, ExportRequest, Form
from core.machine import Machine
from core.paths import Home
from core.training.setting_checks import lacks


def offered_forms(config: RunConfig) -> tuple[Form, ...]:
    """The forms that a run may be exported as; those that Unsloth makes where it has trained the run."""
    by_unsloth = config.train.backend == "unsloth"
    return tuple(form for form in FORMS if by_unsloth or form not in UNSLOTH_FORMS)


def cannot_use_unsloth(form: Form, machine: Machine) -> str:
    """Why Unsloth cannot make a form on this machine, in a sentence; empty where it can, and for other forms."""
    return lacks(machine, "unsloth", FORM_TITLES[form]) if form in UNSLOTH_FORMS else ""


def refuse_unsloth(home: Home, request: ExportRequest, config: RunConfig) -> None:
    """Raise ConfigError for a form of Unsloth's where it has not trained the run, or cannot work on this machine."""
    asked = [form for form in request.forms if form in UNSLOTH_FORMS]
    if not asked:
        return
    if asked[0] not in offered_forms(config):
        raise ConfigError(
            f"{FORM_TITLES[asked[0]]} is made of runs that were trained with Unsloth, and this one was not. Choose "
            f"{FORM_TITLES['merged']} or a GGUF form of the studio's own."
        )
    reason = cannot_use_unsloth(asked[0], Machine.inspect(home))
    if reason:
        raise ConfigError(f"{reason} Or choose a form of the studio's own, which any machine can make.")
