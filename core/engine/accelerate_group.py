"""Trains a run with several processes on this machine, each on a GPU of its own, by `accelerate launch`.

The job's own process starts them, waits, and says what went wrong. It stays the one that holds the run's lock and that
users stop; when it ends, in whatever way, they end as well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from core.config import RunConfig
from core.engine.rank_failures import cause, forget_failures
from core.jobs.processes import tethered
from core.machine import cpu_cores
from core.paths import Home, write_json
from core.runs.run import Run

RANK = "core.engine.rank"
"""What each of them runs."""
_STOP_SECONDS = 40.0
"""accelerate gives processes half a minute to end before it kills them."""


def train_together(run: Run, home: Home) -> None:
    """Train as the run's configuration asks, in as many processes as it says.

    Raises:
        StudioError: what the first process that failed says; or that one was lost.
    """
    config, settings = run.config(), run.folder / "control" / "accelerate.json"
    forget_failures(run)
    write_json(settings, accelerate_settings(config))
    command = [
        *(sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", str(settings)),
        *("--module", RANK, str(run.folder), str(home.root)),
    ]
    with tethered(command, _environment(config), _STOP_SECONDS) as process:
        code = process.wait()
    if code:
        raise cause(run)


def accelerate_settings(config: RunConfig) -> Mapping[str, object]:
    """The configuration file of `accelerate launch`, in the place of one that the user may have for other programs.

    How the model is spread stands in the training arguments, see `core.engine.sharding`, so that it is the same on a
    cluster. `MULTI_GPU` is what accelerate calls starting the processes itself, which it does on a processor too.
    """
    return {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU",
        "num_machines": 1,
        "num_processes": config.train.processes,
        "machine_rank": 0,
        "main_process_port": 0,  # any that is free
        "mixed_precision": "no",  # weights are held in the format that is computed in
        "gpu_ids": "all",
        "use_cpu": False,
        "debug": False,
    }


def _environment(config: RunConfig) -> dict[str, str]:
    """Processes of one machine share its cores; MASTER_PORT and its like are accelerate's to choose."""
    threads = str(max(cpu_cores() // config.train.processes, 1))
    return {**os.environ, "OMP_NUM_THREADS": threads}
