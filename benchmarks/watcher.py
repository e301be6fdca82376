"""Draws a run's page once a second until the run has done so many steps: `python -m benchmarks.watcher HOME RUN STEPS`.

It runs the whole page each time, where a browser's live view runs its moving parts only, so it costs at least as much.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from core.paths import PROJECT
from core.runs.run import Run


def main(root: Path, run: Run, until: int) -> None:
    os.environ["GRPO_STUDIO_HOME"] = str(root)
    page = AppTest.from_file(PROJECT / "studio" / "main.py", default_timeout=60).run()
    page.switch_page(str(PROJECT / "pages" / "train.py"))
    page.query_params["run"] = run.id
    while run.status().live and run.written_status().step < until:
        page.run()
        if page.exception:
            raise RuntimeError(str(page.exception))
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Run(Path(sys.argv[1]) / "runs" / sys.argv[2]), int(sys.argv[3]))
