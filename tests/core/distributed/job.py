"""The job of a run under test: `python -m tests.core.distributed.job FOLDER HOME`; see `build.Asked`."""

from __future__ import annotations

import sys
from pathlib import Path

from core.engine import accelerate_group
from core.jobs import worker
from core.runs.run import Run
from tests.core.distributed import rank_under_test

if __name__ == "__main__":
    folder, home = Path(sys.argv[1]), Path(sys.argv[2])
    if Run(folder).config().train.processes > 1:
        accelerate_group.RANK = rank_under_test.__name__
    else:
        rank_under_test.change(folder)
    sys.exit(worker.main(folder, home))
