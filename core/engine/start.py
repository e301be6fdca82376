"""Where a training job begins: what must be set and imported first, then the job itself."""

from __future__ import annotations

from core.engine.before_imports import before_imports
from core.paths import Home
from core.runs.run import Run


def train(run: Run, home: Home) -> None:
    """Train as the run's configuration asks; see `core.engine.training.train`."""
    before_imports(run.config(), home)
    from core.engine.training import train as work

    work(run, home)
