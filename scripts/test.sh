#!/usr/bin/env bash
# Style, types and tests, in the order in which they fail fastest.
#
#   scripts/test.sh lint|quick|all
#
# lint: style and types. quick: and every test that is not marked slow. all: and the slow ones.
set -euo pipefail
cd "$(dirname "$0")/.."

scope=${1:-quick}
bin=.venv/bin
step() { printf '\n== %s\n' "$*"; }

step "Style"
"$bin/python" -m ruff format --check .
"$bin/python" -m ruff check .

step "Types"
"$bin/python" -m mypy

[[ $scope != lint ]] || exit 0

CHROMIUM=$(scripts/chromium.sh)
export CHROMIUM
# Idle OpenMP threads must sleep: spinning ones make a shared machine ten times slower.
export OMP_WAIT_POLICY=PASSIVE
# The tests use what is on this machine; a test that reaches for a model hub must fail at once.
export HF_HUB_OFFLINE=1

step "Tests ($scope), browser: $CHROMIUM"
# Two processes, each with whole files: much of a test's time is waiting for a job, a server or a browser.
pytest=("$bin/python" -m pytest -n 2 --dist loadfile)
case $scope in
quick) "${pytest[@]}" -m "not slow" --durations=10 ;;
all) "${pytest[@]}" --durations=20 ;;
*)
    echo "test.sh takes lint, quick or all, not '$scope'." >&2
    exit 2
    ;;
esac
