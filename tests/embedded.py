"""The embedded models, prepared once where `make run` would put them, and linked from there."""

from __future__ import annotations

from pathlib import Path

from core.engine.prepare import prepare
from core.paths import PROJECT, Home


def link_models(root: Path) -> Home:
    """A fresh home in `root` that has the embedded models."""
    shared = Home.open(PROJECT / "workspace")
    prepare(shared)
    home = Home.open(root)
    home.models.rmdir()
    home.models.symlink_to(shared.models)
    return home
