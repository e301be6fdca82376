"""`python -m benchmarks [NAME …]`: run benchmarks and keep their results under `benchmarks/results/`.

Without a name: step, scoring, weight_map, sliders, interface, load, preview, report, serving, evaluating, evidence,
export.
`learning` trains the demo four times, about half an hour. `long_run` first writes a run of a million steps, several
minutes and 3 GB.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    evaluating,
    evidence,
    export,
    interface,
    learning,
    load,
    long_run,
    preview,
    report,
    scoring,
    serving,
    sliders,
    step,
    weight_map,
)
from benchmarks.conditions import machine
from core.errors import StudioError
from core.paths import Home

RESULTS = Path(__file__).parent / "results"
BENCHMARKS: dict[str, Callable[[Home], dict[str, Any]]] = {
    "step": step.measure,
    "scoring": scoring.measure,
    "weight_map": weight_map.measure,
    "sliders": sliders.measure,
    "interface": interface.measure,
    "load": load.measure,
    "long_run": long_run.measure,
    "preview": preview.measure,
    "report": report.measure,
    "serving": serving.measure,
    "evaluating": evaluating.measure,
    "evidence": evidence.measure,
    "export": export.measure,
    "learning": learning.measure,
}
USUAL = (
    "step",
    "scoring",
    "weight_map",
    "sliders",
    "interface",
    "load",
    "preview",
    "report",
    "serving",
    "evaluating",
    "evidence",
    "export",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}")
    parser.add_argument("--home", metavar="DIR", help="home folder with the prepared embedded models")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; choose from {', '.join(BENCHMARKS)}")
    home = Home.open(options.home)
    met = True
    for name in options.names or USUAL:
        print(f"== {name}", flush=True)
        try:
            result = BENCHMARKS[name](home)
        except StudioError as error:
            print(error, file=sys.stderr)
            return 2
        met &= all(result["met"].values())
        record = {"benchmark": name, "date": time.strftime("%Y-%m-%d"), "machine": machine(home), **result}
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(json.dumps(result, indent=2), flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
