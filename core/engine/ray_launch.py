"""Trains a run on a Ray cluster: Ray Train starts the training processes, and starts them again when one is lost.

The job's own process stays the owner of the run: it holds the lock and is the one that users stop. What trains is
`core.engine.rank`, as on one machine, on the same run directory, which every node sees at the same path. The first of
the training processes writes into it, the others write nothing.

Ray Train's controller runs in a task of the cluster, so that a studio outside the cluster can start runs as well, and
so that signals still reach the job's own process.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.engine.rank_failures import cause, forget_failures, refused
from core.engine.ray_cluster import carried_environment, connected, uses_gpus
from core.engine.ray_rank import ENDED, Plan, loss_note, note_loss, rank_lock, work_as_rank
from core.engine.reporting import Reporter
from core.errors import RunError, StudioError
from core.paths import Home
from core.runs.run import Run

RESTARTS = "GRPO_STUDIO_RAY_RESTARTS"
"""The environment variable that says how often a run goes on by itself after a lost process or node."""
_RESTARTS = 3
_ASKED = 5
_ROOM_MINUTES = 10
"""How long the cluster is asked for room when a node is gone, over so many times."""
_LOOK_SECONDS = 1.0
_IDLE_LOOKS = 5
"""A stop is left to the training processes, unless none has been at work for so many looks."""
_GONE_SECONDS = 60.0
_TALK_SECONDS = 7200
"""How long a process waits for the others in one exchange, as on one machine."""


def train_on_cluster(run: Run, home: Home) -> None:
    """Train as the run's configuration asks, with `train.processes` processes on a Ray cluster.

    Raises:
        StudioError: what a training process met and the user can mend, or why the cluster cannot be used.
    """
    processes = run.config().train.processes
    forget_failures(run)
    loss_note(run).unlink(missing_ok=True)
    with connected(processes) as ray:
        on_gpus = uses_gpus(ray, processes)
        plan = Plan(run.folder.resolve(), home.root.resolve(), processes, on_gpus, restarts(), carried_environment())
        task = ray.remote(num_cpus=0, max_retries=0)(fit).remote(plan)
        fault = _outcome(ray, task, run)
    shutil.rmtree(_markers(run), ignore_errors=True)
    if run.written_status().state in ENDED:
        return
    if refused(run):
        raise cause(run)
    if run.stop_request.exists():
        _stop(run)
        return
    raise RunError(f"{fault or 'Training ended before its time.'} More of it stands in {run.log.name} of the run.")


def restarts(environment: Mapping[str, str] = os.environ) -> int:
    """How often a run goes on by itself after a loss.

    Raises:
        RunError: the environment says something that is no number.

    >>> restarts({}), restarts({"GRPO_STUDIO_RAY_RESTARTS": "10"})
    (3, 10)
    """
    text = environment.get(RESTARTS, str(_RESTARTS))
    if not text.isdecimal():
        raise RunError(f"{RESTARTS} is {text!r}; it must be a whole number, 0 or greater.")
    return int(text)


def fit(plan: Plan) -> str:
    """Run Ray Train's controller to its end, in a task of the cluster.

    Returns:
        What ended the training, in a sentence; nothing when the training processes came to their own end.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    trainer = TorchTrainer(
        _on_each(plan),
        torch_config=TorchConfig(timeout_s=_TALK_SECONDS),
        scaling_config=ScalingConfig(num_workers=plan.processes, use_gpu=plan.on_gpus),
        run_config=RunConfig(
            name=plan.folder.name,
            storage_path=str(_markers(Run(plan.folder))),
            callbacks=[_loss_noted(plan)],
            failure_config=FailureConfig(
                max_failures=plan.restarts,
                max_preemption_failures=plan.restarts,
                controller_failure_limit=_ASKED,
            ),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        print(error)
        return _fault(error, plan)
    return ""


def _markers(run: Run) -> Path:
    """Where Ray Train keeps its notes of a run, which nobody reads: checkpoints are the run's own."""
    return run.folder / "control" / "ray"


def _on_each(plan: Plan) -> Callable[[], None]:
    """What each worker does. The plan is a part of it: Ray Train would record an argument, with the keys in it."""

    def work() -> None:
        work_as_rank(plan)

    return work


def _loss_noted(plan: Plan) -> Any:
    """Ray Train's callback that leaves word of lost processes."""
    from ray.train import UserCallback

    class LossNoted(UserCallback):  # type: ignore[misc]
        def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, Exception]) -> None:
            note_loss(Run(plan.folder), worker_exceptions)

    return LossNoted()


def _fault(error: Exception, plan: Plan) -> str:
    """Why Ray Train gave up, in a sentence."""
    met = [one for one in getattr(error, "worker_failures", {}).values() if isinstance(one, StudioError)]
    if met:
        return str(met[0])
    if hasattr(error, "worker_failures"):
        again = f" {plan.restarts + 1} times" if plan.restarts else ""
        return f"Training processes of the Ray cluster were lost{again}."
    return f"The Ray cluster had no room for {plan.processes} training processes for {_ROOM_MINUTES} minutes."


def _outcome(ray: Any, task: Any, run: Run) -> str:
    """Wait for the cluster; what ended the training, in a sentence, or nothing.

    Training processes look for a request to stop after each step. While none of them works, since they are being
    started or there is no room for them, this process ends the wait.
    """
    idle = 0
    try:
        while not ray.wait([task], timeout=_LOOK_SECONDS)[0]:
            idle = idle + 1 if run.stop_request.exists() and not _at_work(run) else 0
            if idle >= _IDLE_LOOKS:
                return ""
        fault: str = ray.get(task)
    except (ConnectionError, ray.exceptions.RayError) as error:  # the former from a job outside the cluster
        print(error)
        return "The connection to the Ray cluster was lost."
    return fault


def _at_work(run: Run) -> bool:
    """Whether a training process has the run's directory in hand."""
    try:
        with FileLock(rank_lock(run), timeout=0):
            return False
    except Timeout:
        return True


def _stop(run: Run) -> None:
    """Record that a run was stopped while none of its training processes worked."""
    try:
        with FileLock(rank_lock(run), timeout=_GONE_SECONDS):
            reporter = Reporter(run)
            reporter.state("stopped")
            reporter.close()
    except Timeout as error:
        raise RunError(
            "A training process of the Ray cluster does not end. End it there, then resume the run."
        ) from error
