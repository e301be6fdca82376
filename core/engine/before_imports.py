"""What has to happen before a job imports transformers and TRL: their environment, and Unsloth, which changes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from core.config import RunConfig
from core.paths import Home
from core.ports import free_port

QUIET: Mapping[str, str] = {
    "UNSLOTH_DISABLE_STATISTICS": "1",  # or it downloads a file from the hub to be counted
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # Compiling in the first step was seen to hang for minutes; without it a step takes as long.
    "UNSLOTH_COMPILE_DISABLE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
"""What the libraries of a GPU machine are told by their environment, unless it says otherwise already."""


def before_imports(config: RunConfig, home: Home) -> None:
    """Set the environment for a run's libraries; call it before anything imports transformers or TRL.

    Unsloth's many lines about what it patches go to the job's log.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")  # vLLM's own group; two runs must not meet at the usual port
    os.environ.setdefault("MASTER_PORT", str(free_port()))
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(home.cache / "unsloth"))  # or it writes where it stands
    if config.train.backend == "unsloth":
        import_module("unsloth")
