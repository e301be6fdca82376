"""The best adapter of a run, chosen by what its policy earned on the validation questions.

<run>/best/
  best.json   step, reward, well_formed
  adapter_config.json, adapter_model.safetensors and the tokenizer, as in `<run>/adapter/`
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from core.paths import write_json
from core.runs.run import Run

_FILE = "best.json"


@dataclass(frozen=True)
class Best:
    """How the kept adapter did.

    Attributes:
        step: after which step it was.
        reward: mean reward of its answers under the weights that the run started with.
        well_formed: share of its answers.
    """

    step: int
    reward: float
    well_formed: float


def read_best(run: Run) -> Best | None:
    """What is known of the best adapter of a run; None when there is none."""
    try:
        return Best(**json.loads((run.best / _FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def keep_best(run: Run, best: Best, save: Callable[[Path], None]) -> None:
    """Put an adapter in the place of the one that was the best; whoever reads sees the one or the other.

    Args:
        save: writes the adapter's files into a folder.

    Raises:
        StorageError: the disk is full.
    """
    fresh, former = run.best.with_name("best.part"), run.best.with_name("best.former")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    save(fresh)
    write_json(fresh / _FILE, asdict(best))
    shutil.rmtree(former, ignore_errors=True)
    if run.best.exists():
        run.best.rename(former)
    fresh.rename(run.best)
    shutil.rmtree(former, ignore_errors=True)


def mend_best(run: Run) -> None:
    """Put back what a kill left between two places: the writer of a run calls this before it goes on."""
    former = run.best.with_name("best.former")
    if former.exists() and not run.best.exists():
        former.rename(run.best)
