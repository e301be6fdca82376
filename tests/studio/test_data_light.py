"""The Data page looks at rows of any number without what only its tasks need."""

from __future__ import annotations

import subprocess
import sys

from core.paths import PROJECT

TASKS_ONLY = ("presidio_analyzer", "spacy", "py3langid", "scipy", "torch", "transformers", "datasets")


def test_the_page_loads_nothing_that_only_its_tasks_need() -> None:
    modules = [f"studio.{path.stem}" for path in (PROJECT / "studio").glob("data_*.py")]
    program = (
        f"import importlib, sys\nfor module in {modules!r}: importlib.import_module(module)\n"
        f"print([heavy for heavy in {TASKS_ONLY!r} if heavy in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
