"""Speed and memory, measured as ratios within one run. `python -m benchmarks --help`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from core.paths import Home


@contextmanager
def scratch_home(home: Home) -> Iterator[Home]:
    """A home of its own for a benchmark, with the prepared models of `home`."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Home.open(folder)
        scratch.models.rmdir()
        scratch.models.symlink_to(home.models)
        yield scratch
