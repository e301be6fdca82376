"""The first rows of a CSV file with a million rows, 1 GB: the studio's preview and import against pandas."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.paths import PROJECT, Home

ROWS = 1_000_000
PREVIEW_SECONDS = 3.0
PREVIEW_MB = 400.0

_PEEK = "from core.data.sources import File, peek; count = len(peek(File(path=path), limit=100).rows)"
_PANDAS = "import pandas; count = len(pandas.read_csv(path))"
_IMPORT = """
from pathlib import Path
from core.data.sources import import_table
from core.data.tables import find_table
from core.paths import Home
from core.jobs.tasks import silent
home = Home.open(Path(path).parent / "home")
count = find_table(home, import_table(home, {"origin": "file", "path": path}, silent)["table"]).about().rows
"""
_PROGRAM = """
import json, re, sys, time
path, start = sys.argv[1], time.perf_counter()
{way}
seconds = time.perf_counter() - start
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024 / 1e6
print(json.dumps({{"seconds": round(seconds, 2), "peak_memory_mb": round(peak), "rows": count}}))
"""


def measure(home: Home) -> dict[str, Any]:
    """Seconds, with the time to load the libraries, and peak memory of fresh processes that do one thing each."""
    with tempfile.TemporaryDirectory(prefix="preview-") as folder:
        file = _write(Path(folder) / "rows.csv")
        size = file.stat().st_size
        peek, pandas, whole = (_run(way, file) for way in (_PEEK, _PANDAS, _IMPORT))
    return {
        "rows": ROWS,
        "size_gb": round(size / 1e9, 2),
        "preview": peek,
        "pandas_read_csv": pandas,
        "import": whole,
        "pandas_over_preview_seconds": round(pandas["seconds"] / peek["seconds"], 1),
        "pandas_over_preview_memory": round(pandas["peak_memory_mb"] / peek["peak_memory_mb"], 1),
        "met": {
            "preview within 3 s": peek["seconds"] <= PREVIEW_SECONDS,
            "preview within 400 MB": peek["peak_memory_mb"] <= PREVIEW_MB,
            "every row imported": whole["rows"] == pandas["rows"] == ROWS,
        },
    }


def _write(file: Path) -> Path:
    question = "A patient reports fever, cough and pain on breathing, and asks what should be done, and when. " * 3
    answer = "Listen to the chest, count the breaths, measure the saturation and take a radiograph today. " * 8
    with file.open("w", encoding="utf-8") as rows:
        rows.write("id,question,answer,split\n")
        for start in range(0, ROWS, 10_000):
            rows.writelines(
                f'{n},"{question}Case {n}?","{answer}Case {n}.",train\n' for n in range(start, start + 10_000)
            )
    return file


def _run(way: str, file: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _PROGRAM.format(way=way), str(file)]
    answer = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found
