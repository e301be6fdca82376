"""Connects a job to a Ray cluster, or starts one on this machine for as long as the job lives.

Ray is in requirements-cluster.txt and is imported only by runs that ask for it. Sources: Ray's documentation of
`ray.init`, of its runtime environments and of token authentication, and the source of Ray 2.60.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import ConfigError, RunError
from core.jobs.places import RAY_ADDRESSES, SERVER_GPUS
from core.jobs.spawning import JOB_ENVIRONMENT
from core.paths import PROJECT

_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_MODE = "RAY_AUTH_MODE"
_TOKEN_FILE = Path("~/.ray/auth_token")
_SCRATCH = "grpo-ray-"
"""How folders of clusters on this machine begin: sockets and logs, below the short path that sockets need."""
_IN_USE = "in-use.lock"
_LOCAL_STORE_BYTES = 100_000_000
"""Shared memory of a cluster on this machine; a run puts nothing into it but its own description."""

_NOISE = "Failed to query Ray Train Controller|PreemptionWatcher"
"""Of lines that Ray prints once a second and that say nothing of the run."""
_SETTINGS: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # every line twice otherwise
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": _NOISE,
    "RAY_DEDUP_LOGS_ALLOW_REGEX": f"^(?!.*({_NOISE}))",
    "RAY_COLOR_PREFIX": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do by itself: hide no GPU from whoever asks for none
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "120",  # PyTorch may come from slow shared storage
}
"""What Ray is told by the environment, here and on the cluster's nodes, unless it says otherwise already."""
_CARRIED = ("GRPO_STUDIO_", "HF_", "HUGGING_FACE_", "OPENAI_", "MLFLOW_", "WANDB_", "TRACKIO_", "TRANSFORMERS_")
"""Beginnings of the names of variables that a job's environment hands on to its training processes."""


def ray_address(environment: Mapping[str, str] = os.environ) -> str | None:
    """The cluster's address; None when a run is to start one on its own machine.

    It is `HOST:6379` where this machine is a node of the cluster, and `ray://HOST:10001` from outside.

    >>> ray_address({"RAY_ADDRESS": "10.0.0.1:6379"}), ray_address({})
    ('10.0.0.1:6379', None)
    """
    return next(filter(None, map(environment.get, RAY_ADDRESSES)), None)


def carried_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What training processes on other machines need of this job's environment, keys included.

    They are handed over as part of the program, not as settings of the cluster, which its dashboard shows.

    >>> carried_environment({"HF_TOKEN": "hf_x", "PATH": "/bin", "GRPO_STUDIO_SERVER_GPUS": "1"})
    {'HF_TOKEN': 'hf_x'}
    """
    mine = {SERVER_GPUS, "GRPO_STUDIO_VISIBLE_GPUS", *RAY_ADDRESSES}  # of this machine only
    return {name: value for name, value in environment.items() if name.startswith(_CARRIED) and name not in mine}


@contextmanager
def connected(processes: int) -> Iterator[Any]:
    """The module `ray`, connected for the length of a `with` block to the cluster that the environment names.

    Where it names none, one is started on this machine, and ends with the block, or with this process.

    Args:
        processes: how many training processes a cluster on this machine has to take.

    Raises:
        ConfigError: Ray is not installed.
        RunError: the cluster cannot be reached.
    """
    if find_spec("ray") is None:
        raise ConfigError(
            "train.cluster is 'ray', and Ray is not installed. Install requirements-cluster.txt, or set train.cluster "
            "to 'none'."
        )
    address = ray_address()
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    _use_token(address)
    ray = import_module("ray")
    with _scratch() as scratch:
        try:
            with _own_signals():
                _connect(ray, address, processes, scratch)
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _scratch() -> Iterator[str]:
    """A folder for the length of a `with` block; those of jobs that were killed are removed first."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*/{_IN_USE}"):
        with suppress(Timeout, OSError), FileLock(lock, timeout=0):  # an OSError: it is another user's
            shutil.rmtree(lock.parent, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=_SCRATCH, ignore_cleanup_errors=True) as folder,
        FileLock(Path(folder) / _IN_USE),
    ):
        yield folder


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's answers to signals, in the place of which Ray puts its own: a stop saves a checkpoint."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, answer in kept.items():
            signal.signal(number, answer)


def _use_token(address: str | None) -> None:
    """Have Ray ask for a token, and show one; a cluster on this machine gets one of its own.

    Ray would write that into the user's home, and would not show any to a cluster that is entered from outside.
    """
    if _MODE in os.environ:
        return
    if address is None:
        os.environ[_TOKENS[0]] = secrets.token_hex(32)
    elif not any(name in os.environ for name in _TOKENS) and not _TOKEN_FILE.expanduser().is_file():
        return
    os.environ[_MODE] = "token"


def _connect(ray: Any, address: str | None, processes: int, scratch: str) -> None:
    told = {name: os.environ[name] for name in _SETTINGS}
    environment = {**JOB_ENVIRONMENT, **told, "PYTHONPATH": str(PROJECT)}
    settings: dict[str, Any] = {"runtime_env": {"env_vars": environment}, "logging_level": "WARNING"}
    if address is None:
        ray.init(
            "local",
            num_cpus=processes,
            object_store_memory=_LOCAL_STORE_BYTES,
            include_dashboard=False,
            _temp_dir=scratch,
            **settings,
        )
        return
    try:
        ray.init(address, **settings)
    except (OSError, RuntimeError, ValueError, ImportError, ray.exceptions.RayError) as error:
        first = str(error).strip().partition("\n")[0]
        raise RunError(
            f"No Ray cluster can be reached at {address} ({first}). Check {RAY_ADDRESSES[0]}, that the cluster runs, "
            "and that its token (RAY_AUTH_TOKEN) is the same there and here."
        ) from error


def uses_gpus(ray: Any, processes: int) -> bool:
    """Whether the run trains on GPUs, one for each process; a cluster without any trains on its processors.

    Raises:
        ConfigError: the cluster is too small for so many processes, which would wait for ever.
    """
    offered = ray.cluster_resources()
    unit = "GPU" if offered.get("GPU", 0) else "CPU"
    count = int(offered.get(unit, 0))
    if count < processes:
        what = "GPUs" if unit == "GPU" else "processor cores and no GPU"
        raise ConfigError(
            f"train.processes is {processes}, and the Ray cluster has {count} {what}: each process needs one. Add "
            f"nodes to the cluster, or set train.processes to {max(count, 1)} or less."
        )
    return unit == "GPU"
