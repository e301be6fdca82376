#!/usr/bin/env bash
# Writes sbom.json and sbom-gpu.json, the CycloneDX lists of all packages in the two locks, or looks for known holes.
#
#   scripts/sbom.sh [write|audit]
#
# write: the same locks give the same files, which are committed with them. audit: asks a database of vulnerabilities
# about every package of both locks, which needs a network; exit code 1 when one is known.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

CYCLONEDX_VERSION=7.5.0
PIP_AUDIT_VERSION=2.10.1
task=${1:-write}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A tool in an environment of its own: what it needs must not change what the studio runs on.
tool() {
    "$(choose_python)" -m venv "$scratch/venv"
    "$scratch/venv/bin/python" -m pip --disable-pip-version-check install --quiet "$1"
}

write() {
    local lock=$1 target=$2
    grep -hv '^#' "$lock" requirements-models.txt >"$scratch/packages.txt"
    "$scratch/venv/bin/python" -W ignore -m cyclonedx_py requirements --output-reproducible --short-PURLs \
        --pyproject pyproject.toml "$scratch/packages.txt" -o "$scratch/sbom.json"
    mv "$scratch/sbom.json" "$target"
    say "$target lists what $lock pins"
}

audit() {
    say "Known holes of what $1 pins:"
    "$scratch/venv/bin/pip-audit" --requirement "$1" --no-deps --disable-pip --progress-spinner off
}

case $task in
write)
    tool "cyclonedx-bom==$CYCLONEDX_VERSION"
    write requirements.lock sbom.json
    write requirements-gpu.lock sbom-gpu.json
    ;;
audit)
    tool "pip-audit==$PIP_AUDIT_VERSION"
    audit requirements.lock
    audit requirements-gpu.lock
    ;;
*) fail "sbom.sh takes write or audit, not '$task'." ;;
esac
