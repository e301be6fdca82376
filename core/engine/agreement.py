"""How the training processes of one run agree.

Each of them runs the same code, so whatever depends on a file, a clock or a user is decided by the first of them and
told to the others: or one would stop while the others wait for it. A run of one process decides for itself, and nothing
here costs it anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as group
from accelerate import PartialState

from core.engine.rank_failures import FailedElsewhere
from core.engine.reporting import Stopped

T = TypeVar("T")

_WAIT = timedelta(days=7)
"""How long the others wait for the first, such as for a vLLM server. One that is lost ends them sooner."""


@contextmanager
def joined() -> Iterator[None]:
    """Belong to the group of processes that the environment describes, for the length of a `with` block.

    The variables are those of `torchrun`: RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT. The
    group talks through NCCL between GPUs and through gloo between processors, the latter for what is agreed on as well.
    """
    on_gpu = torch.cuda.is_available()
    mine = not group.is_initialized()  # a launcher such as Ray may have done it
    if mine:
        group.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=timedelta(hours=2))
    if not on_gpu:  # else accelerate calls the processor cpu:0, and PyTorch loads no file to a place of that name
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    PartialState(cpu=not on_gpu)  # before anybody else makes it otherwise; it chooses the GPU
    _Talk.group = group.new_group(backend="gloo", timeout=_WAIT)
    try:
        yield
        by_first(lambda: None)  # nobody leaves while another may still ask
        if mine:  # after an error the others may be waiting for this one, and it would wait for them
            group.destroy_process_group()
    finally:
        _Talk.group = None


class _Talk:
    """The group through which processes tell each other what is no tensor; None in a run of one process."""

    group: group.ProcessGroup | None = None


def count() -> int:
    """How many training processes the run has."""
    return 1 if _Talk.group is None else group.get_world_size()


def number() -> int:
    """Which of them this is, counted from 0."""
    return 0 if _Talk.group is None else group.get_rank()


def is_first() -> bool:
    """Whether this is the one that decides and writes."""
    return number() == 0


def by_first(act: Callable[[], T]) -> T:
    """What `act` returns on the first process, on all of them; the others do not call it.

    Raises:
        Stopped: on all of them when `act` does.
        FailedElsewhere: on the others when `act` raises anything else.
    """
    if _Talk.group is None:
        return act()
    said: list[Any] = [None]
    failure: BaseException | None = None
    if is_first():
        try:
            said = [act()]
        except Exception as error:
            failure = error
            said = [Stopped() if isinstance(error, Stopped) else FailedElsewhere()]
    group.broadcast_object_list(said, src=0, group=_Talk.group, device=torch.device("cpu"))
    if failure is not None:
        raise failure
    if isinstance(said[0], Stopped | FailedElsewhere):
        raise said[0]
    return cast(T, said[0])


def to_first(value: T) -> list[T]:
    """What every process holds, in their order, on the first of them; empty on the others."""
    if _Talk.group is None:
        return [value]
    found: list[Any] | None = [None] * count() if is_first() else None
    group.gather_object(value, found, dst=0, group=_Talk.group)
    return found or []


def from_all(value: T) -> list[T]:
    """What every process holds, in their order, on all of them."""
    if _Talk.group is None:
        return [value]
    found: list[Any] = [None] * count()
    group.all_gather_object(found, value, group=_Talk.group)
    return found
