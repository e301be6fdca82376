"""`python -m core.jobs.pod FOLDER HOME`: what a Job of a Cloudera AI workspace does for a training run, in its pod.

It looks which GPUs the pod has, runs the same worker process as on any machine, and starts what waits in the queue
then: nothing of a pod outlives it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType

from core.errors import StudioError
from core.jobs import queue
from core.jobs.places import Places
from core.jobs.spawning import JOB_ENVIRONMENT, job_variables, not_started
from core.paths import PROJECT, Home
from core.runs.run import Run
from core.secrets import hide_environment


def main(folder: Path, root: Path) -> int:
    """Train the run in `folder`; returns the exit code of its worker."""
    hide_environment()
    run, home = Run(folder), Home(root)
    try:
        gpus = Places.of_this_machine().free(run.config(), held=[]) or ()
    except StudioError as error:
        print(not_started(run, str(error)), file=sys.stderr)
        return 2
    run.write_status(replace(run.written_status(), gpus=gpus))
    print(f"Training {run.id}. Its log is {run.log}.", flush=True)
    code = _work(run, home, {**JOB_ENVIRONMENT, **job_variables(run, computes=True)})
    print(f"{run.id}: {run.summary()}", flush=True)
    try:
        queue.start_all(home)
    except StudioError as error:
        print(f"The next run in the queue could not be started: {error}", file=sys.stderr)
    return code


def _work(run: Run, home: Home, variables: Mapping[str, str]) -> int:
    """Run the worker to its end. That the pod is to end is passed on to it, which then saves a checkpoint."""
    command = [sys.executable, "-m", "core.jobs.worker", str(run.folder), str(home.root)]
    with run.log.open("ab") as log:
        worker = subprocess.Popen(
            command, cwd=PROJECT, env=dict(variables), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )

    def pass_on(number: int, frame: FrameType | None) -> None:
        worker.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    return worker.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
