"""Where a training job begins: what must be set and imported first, then the job itself."""

from __future__ import annotations

from core.engine.accelerate_group import train_together
from core.engine.before_imports import before_imports
from core.engine.ray_launch import train_on_cluster
from core.paths import Home
from core.runs.run import Run


def train(run: Run, home: Home) -> None:
    """Train as the run's configuration asks; see `core.engine.training.train`."""
    config = run.config()
    if config.train.cluster == "ray":
        train_on_cluster(run, home)
        return
    if config.train.processes > 1:
        train_together(run, home)
        return
    before_imports(config, home)
    from core.engine.training import train as work

    work(run, home)
