#!/usr/bin/env bash
# Prepares the embedded models and opens the studio on 127.0.0.1. Environment: PORT, by default 8501.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

port=${PORT:-8501}
if ! [[ $port =~ ^[0-9]{1,5}$ ]] || ((10#$port < 1024 || 10#$port > 65535)); then
    fail "PORT is '$port': use a number from 1024 to 65535, such as make run PORT=8502."
fi
# Asked first: someone whose studio is running already should not wait for anything.
if ! free=$(.venv/bin/python scripts/free_port.py "$port"); then
    fail "Port $port is taken, perhaps by a studio that is already running. Use another one: make run PORT=$free"
fi

.venv/bin/python -m core prepare
exec .venv/bin/python scripts/serve.py 127.0.0.1 "$port"
