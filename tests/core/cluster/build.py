"""Ray clusters of one machine, and runs that train on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core.config import RunConfig, with_changes
from core.jobs.spawning import JOB_ENVIRONMENT
from core.paths import PROJECT, Home
from core.runs.run import Run

LONG = 600.0
_LOOK_SECONDS = 0.1


def on_ray(config: RunConfig, **changes: Any) -> RunConfig:
    """The same run, with two processes on a Ray cluster."""
    return with_changes(config, {"train.processes": 2, "train.cluster": "ray", "train.held_out_rows": 0, **changes})


@contextmanager
def job(run: Run, home: Home, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The run's job in a process of its own, as the supervisor starts it; it is killed where the block ends early."""
    command = [sys.executable, "-m", "core.jobs.worker", str(run.folder), str(home.root)]
    told = {**os.environ, **JOB_ENVIRONMENT, **(environment or {})}
    with run.log.open("ab") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=told, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def worked(run: Run, home: Home, environment: Mapping[str, str] | None = None) -> int:
    """The exit code of the run's job, once it has ended."""
    with job(run, home, environment) as process:
        code = process.wait(LONG)
    print(run.log.read_text(encoding="utf-8", errors="replace"))
    return code


def await_step(run: Run, process: subprocess.Popen[bytes], step: int) -> None:
    """Wait until the run has done a step."""
    deadline = time.monotonic() + LONG
    while run.written_status().step < step and process.poll() is None and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    assert run.written_status().step >= step, run.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes with one processor core each: a head, and one that may be lost."""
    from ray.cluster_utils import Cluster

    scratch = tempfile.mkdtemp(prefix="ray-")  # short: there are sockets in it
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "temp_dir": scratch}
    )
    cluster.add_node(num_cpus=1)
    try:
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)
