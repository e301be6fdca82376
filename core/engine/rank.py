"""One of several training processes of a run: `python -m core.engine.rank FOLDER HOME`.

Each does its share of every step: it writes, scores and learns from whole groups of completions. The first one also
writes the run's directory. Whoever starts them holds the run's lock, its state and its signals: the job's own process,
see `core.engine.accelerate_group`, or the driver of a cluster.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from core.engine.before_imports import before_imports
from core.engine.rank_failures import failures_told
from core.errors import StudioError
from core.paths import Home
from core.runs.run import Run
from core.scrubbing import scrub_output
from core.secrets import hide_environment


def work(folder: Path, home: Path) -> None:
    """Train as one process of the group that the environment describes: RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE,
    MASTER_ADDR and MASTER_PORT. It goes on from the run's last whole checkpoint where there is one.

    Args:
        folder: that of the run, which all processes of the group can read and write.
        home: the root of the home folder.

    Raises:
        StudioError: something the user can mend. This and any other error has also been written down, see
            `core.engine.rank_failures.cause`, since what a launcher tells of it is not for people.
    """
    run, rank = Run(folder), int(os.environ["RANK"])
    with failures_told(run, rank):
        before_imports(run.config(), Home(home))
        from core.engine.agreement import joined
        from core.engine.rank_reporter import SilentReporter
        from core.engine.reporting import Reporter
        from core.engine.training import train

        with joined():
            train(run, Home(home), Reporter(run) if rank == 0 else SilentReporter(run))


def main(folder: Path, home: Path) -> int:
    """Returns the exit code of the process."""
    hide_environment()
    scrub_output()
    try:
        work(folder, home)
    except StudioError as error:
        print(f"Training process {os.environ['RANK']} failed: {error}", file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
