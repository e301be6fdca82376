"""The embedded models, prepared once where `make run` would put them, and linked from there."""

from __future__ import annotations

from core.engine.prepare import prepare
from core.paths import PROJECT, Home


def link_models(home: Home) -> Home:
    """Give a fresh home the embedded models; returns it."""
    shared = Home.open(PROJECT / "workspace")
    prepare(shared)
    home.models.rmdir()
    home.models.symlink_to(shared.models)
    return home
