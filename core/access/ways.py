"""How people are known, as far as the environment says so: read by the core, its jobs and the studio alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, cast, get_args

from core.errors import ConfigError

Way = Literal["local", "proxy", "oidc"]
"""One person at this machine; a proxy that names everybody; accounts of an organisation. See `studio.identity`."""
IDENTITY = "GRPO_STUDIO_IDENTITY"
"""The environment variable that says how people are known; unset, it is found out."""
TRUSTED_PROXY = "GRPO_STUDIO_TRUSTED_PROXY"
"""The environment variable that is 1 where everybody comes through a proxy that says who they are."""


def way_in(environment: Mapping[str, str] = os.environ) -> Way | None:
    """How the environment says that people are known; None when it does not say.

    Raises:
        ConfigError: `GRPO_STUDIO_IDENTITY` names none of the ways.
    """
    named = environment.get(IDENTITY, "").strip()
    if named and named not in get_args(Way):
        raise ConfigError(f"{IDENTITY} is {named!r}: use local, proxy or oidc, and start the studio again.")
    if named:
        return cast(Way, named)
    return "proxy" if environment.get(TRUSTED_PROXY, "").strip() == "1" else None
