#!/usr/bin/env bash
# A step of the image, as root: the system's packages and the user that the studio runs as.
#
#   scripts/image/system.sh cpu|cuda
set -euo pipefail

target=${1:-}
# tini: the init process. libgomp1: OpenMP for PyTorch.
packages=(tini libgomp1)
case $target in
cpu) ;;
cuda) packages+=(g++) ;; # Triton builds its launchers when they are first used
*)
    echo "system.sh takes cpu or cuda, not '$target'." >&2
    exit 2
    ;;
esac

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# No versions: Debian keeps only the newest of a stable release, the one with the security fixes.
apt-get install -q -y --no-install-recommends "${packages[@]}"
rm -rf /var/lib/apt/lists/*

useradd --create-home --uid 1000 studio
# A fresh named volume takes its owner from this folder.
install -d -o studio -g studio /workspace
