#!/usr/bin/env bash
# Prints the path of a Chromium for the browser tests; installs Debian's when there is none. $CHROMIUM names one.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

find_chromium() {
    local name
    for name in ${CHROMIUM:-chromium chromium-browser google-chrome google-chrome-stable}; do
        command -v "$name" && return
    done
    return 1
}

find_chromium && exit

advice="The browser tests need Chromium. Install it (sudo apt-get install chromium), or name one: make test CHROMIUM=/path/to/chrome"
[[ -z ${CHROMIUM:-} ]] || fail "CHROMIUM is '$CHROMIUM', which is not a program. $advice"
command -v apt-get >/dev/null || fail "$advice"
root=()
if [[ $(id -u) != 0 ]]; then
    # -n: a password prompt would hang an unattended run.
    sudo -n true 2>/dev/null || fail "$advice"
    root=(sudo -n)
fi

say "Installing Chromium for the browser tests"
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -q >&2 || fail "apt-get update failed. $advice"
"${root[@]}" apt-get install -q -y --no-install-recommends chromium >&2 || fail "apt-get install failed. $advice"
find_chromium || fail "$advice"
