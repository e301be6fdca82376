"""The endings of files that a run takes as they are."""

from __future__ import annotations

from core.data.formats import SUFFIXES as FORMATS

__all__ = ["FORMATS"]
