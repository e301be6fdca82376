#!/usr/bin/env bash
# What the container runs: prepares the embedded models in the volume, then serves the studio.
# It listens on all of the container's addresses; which of the host's can reach it is decided by `docker run -p`.
set -euo pipefail
cd "$(dirname "$0")/.."

python -m core prepare
exec python -m streamlit run studio/app.py --server.address 0.0.0.0 --server.port 8501 --server.headless true \
    --browser.gatherUsageStats false
