"""The task "preflight": where it begins, with what must be set and imported first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from core.config import parse_config
from core.engine.before_imports import before_imports
from core.jobs.tasks import Tell
from core.paths import Home


def preflight(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Try the run that `arguments["config"]` describes, to `core.training.preflight.PreflightResult` as JSON.

    Raises:
        StudioError: a model, the data or the settings cannot be used.
    """
    started = time.monotonic()
    config = parse_config(arguments["config"])
    tell("loading the libraries", 0, 0)
    before_imports(config, home)
    from core.engine.preflight_run import try_run

    return try_run(config, home, tell, started).model_dump(mode="json")
