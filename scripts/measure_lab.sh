#!/usr/bin/env bash
# Writes assets/lab/scores.csv anew: what the embedded models say of the bundled completions and of the stress set.
# To be run, and its result committed, whenever assets/lab/groups.jsonl or assets/lab/stress.jsonl has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

.venv/bin/python -m core prepare
.venv/bin/python -c '
from core.engine.lab_assets import measure_assets
from core.paths import Home

measure_assets(Home.open(), lambda phase, done, total: print(f"{phase}: {done} of {total}", flush=True))
'
