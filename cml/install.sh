#!/usr/bin/env bash
# Makes the studio's environment in a Cloudera AI project, with the workspace's own client for training Jobs.
# Environment: EXTRAS, cpu or gpu; CDSW_API_URL, which a workspace sets in its pods.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

scripts/install.sh run

[[ -n ${CDSW_API_URL:-} ]] || exit 0
if ! .venv/bin/python -c 'import cmlapi' 2>/dev/null; then
    # The workspace hands the client out itself. Without it all works but training in Jobs.
    .venv/bin/python -m pip --disable-pip-version-check install -c requirements.lock \
        "${CDSW_API_URL%/api/v1}/api/v2/python.tar.gz" ||
        say "The workspace's client cmlapi could not be installed: training runs inside the application, not in Jobs."
fi
