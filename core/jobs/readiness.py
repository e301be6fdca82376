"""What is checked before a run may start or wait in the queue, so that nobody learns of it after ten minutes."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from core.config import RunConfig, with_changes
from core.datasets import fingerprint, read_rows, training_rows
from core.errors import DataError, StorageError
from core.jobs.launchers import machine_for_runs
from core.models import locate
from core.paths import Home
from core.reward.custom_files import Source, sources, unhashed
from core.reward.ready import ready_reward
from core.runs.run import Run
from core.train_config import TrainConfig
from core.training import capabilities
from core.training.model_shape import model_shape

_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Ready:
    """A configuration that has passed every check, with the texts of its custom rewards as they were then."""

    config: RunConfig
    rewards: tuple[Source, ...]


def ready(home: Home, config: RunConfig) -> Ready:
    """Check what a new run needs, and note what its data and custom rewards are now.

    Fingerprints and hashes that `config` has from an earlier run are not compared: a new run takes everything as it is.

    Raises:
        DataError, ModelError, RewardError, ConfigError: what the run needs is missing or wrong.
        StorageError: there is too little room.
    """
    config = with_changes(config, {"data.fingerprint": ""})
    rewards = sources(home.rewards, unhashed(config.reward))
    config = with_changes(config, {"reward.custom": [source.reward.model_dump() for source in rewards]})
    refuse_unready(home, config)
    return Ready(with_changes(config, {"data.fingerprint": fingerprint(config.data, home)}), rewards)


def refuse_unready(home: Home, config: RunConfig, run: Run | None = None) -> None:
    """Raise the error that the job would meet later: models, what this machine cannot do, custom rewards, the judge,
    data, room on the disk.

    Args:
        run: the run to go on with, whose own copies of the custom rewards count; None looks at the home's.
    """
    locate(config.model, home)
    capabilities.refuse(config, machine_for_runs(home), model_shape(config.model, home))
    ready_reward(home, config.reward, run)
    rows = len(training_rows(read_rows(config.data, home)))
    _refuse_few(rows, config.train)
    free = psutil.disk_usage(str(home.root)).free
    if free < _FREE_BYTES:
        raise StorageError(
            f"Only {free / 1e9:.1f} GB are free where {home.root} lies; a run needs {_FREE_BYTES / 1e9:.0f} GB. "
            "Free some space or choose another home folder."
        )


def _refuse_few(rows: int, train: TrainConfig) -> None:
    """Raise DataError when the rows, or what the run takes of them, are too few for one step."""
    needed = train.prompts_per_step
    if rows < needed:
        raise DataError(
            f"The data has {rows} row{'' if rows == 1 else 's'} to train on and a step needs {needed}. Add rows to the "
            "training split, or use fewer prompts a step."
        )
    if train.train_rows is not None and train.train_rows < needed:
        raise DataError(
            f"train.train_rows lets the run take {train.train_rows} row{'' if train.train_rows == 1 else 's'} and a "
            f"step needs {needed}. Take more rows, or use fewer prompts a step."
        )
