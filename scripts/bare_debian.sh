#!/usr/bin/env bash
# Proves that the Dockerfile's steps need nothing that a bare Debian does not have, where no engine for containers is at
# hand: they are run in a fresh root, and what they made is started without a network, as an ordinary user.
#
#   sudo scripts/bare_debian.sh [ROOT]        (by default a new folder; 4 GB, ten minutes or more)
#
# Needs root's rights and debootstrap. Environment:
#   MIRROR  where Debian is downloaded from
#   LEND    files and folders of this machine that the installation may read, such as /etc/pip.conf, separated by spaces
#   KEEP=1  leaves the root there
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

[[ $(id -u) == 0 ]] || fail "bare_debian.sh changes roots and mounts, which only root may: sudo scripts/bare_debian.sh"
command -v debootstrap >/dev/null || fail "debootstrap is not here. Install it: sudo apt-get install debootstrap"

root=${1:-$(mktemp -d -t grpo-studio-root.XXXXXX)}
mounts=()

lend() {
    if [[ -d $1 ]]; then mkdir -p "$root$1"; else mkdir -p "$root$(dirname "$1")" && touch "$root$1"; fi
    mount --bind "$1" "$root$1"
    mounts=("$root$1" "${mounts[@]}")
}

take_back() {
    local mounted
    for mounted in "${mounts[@]}"; do umount "$mounted"; done
    mounts=()
}

clean_up() {
    local mounted
    for mounted in "${mounts[@]}"; do umount "$mounted" || return; done # else what is lent would be deleted
    [[ ${KEEP:-} == 1 ]] || rm -rf --one-file-system "$root"
}
trap clean_up EXIT

within() { chroot "$root" /usr/bin/env -C "$1" PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${@:2}"; }

# In namespaces of its own, where there is no network but loopback, and where all processes end with the first.
offline() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --net --pid --fork --kill-child --mount-proc="$root/proc" bash -c 'ip link set lo up && exec chroot "$@"' offline "$@"
}

say "[1/5] A bare Debian with Python, in $root"
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" \
    "${MIRROR:-http://deb.debian.org/debian}" >"$root.log" 2>&1 || fail "debootstrap failed: see $root.log"
rm -f "$root.log"
for file in /dev/null /dev/zero /dev/random /dev/urandom /etc/resolv.conf /etc/hosts ${LEND:-}; do lend "$file"; done
mkdir -p "$root/proc" "$root/app" "$root/build"
mount -t proc proc "$root/proc"
mounts=("$root/proc" "${mounts[@]}")

say "[2/5] The files that go into the image"
git ls-files -co --exclude-standard | grep -Ev '^(tests|benchmarks|workspace|\.ci)/' |
    while read -r file; do [[ ! -f $file ]] || printf '%s\n' "$file"; done |
    tar -c -T - | tar -x -C "$root/app"
cp "$root"/app/requirements*.txt "$root"/app/requirements*.lock "$root/build"

say "[3/5] The Dockerfile's steps"
within /build /app/scripts/image/environment.sh cpu
within /app scripts/image/system.sh cpu
within /app scripts/image/models.sh
take_back
rm -rf "$root/build"
for file in /dev/null /dev/zero /dev/random /dev/urandom; do lend "$file"; done
mkdir -p "$root/dev/shm"
chmod 1777 "$root/dev/shm"

settings=(GRPO_STUDIO_HOME=/workspace GRPO_STUDIO_WITHIN=container HF_HOME=/workspace/cache/huggingface
    PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/home/studio)

say "[4/5] Starting it without a network, first on a volume that root owns"
chown root:root "$root/workspace"
if offline --userspec=studio "$root" /usr/bin/env -i "${settings[@]}" /app/scripts/container.sh; then
    fail "On a volume that it cannot write the studio should have refused to start."
fi
# shellcheck disable=SC2016 # expanded inside
offline "$root" /usr/bin/env -i "${settings[@]}" /bin/bash -c '
    tini -s -- /app/scripts/container.sh &
    ask="import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:8501/_stcore/health\", timeout=4)"
    for ((second = 0; second < 180; second++)); do
        sleep 1
        if python -c "$ask" 2>/dev/null; then exit; fi
    done
    exit 1
' || fail "The studio did not become healthy within three minutes."
[[ $(stat -c %u "$root/workspace") == 1000 ]] || fail "The volume still belongs to root."

say "[5/5] Training one step as an ordinary user, without a network"
offline --userspec=studio "$root" /usr/bin/env -i -C /app "${settings[@]}" python -m core train --size demo --set train.steps=1
say "The image's steps are complete: installed, started and trained in a bare Debian."
