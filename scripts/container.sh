#!/usr/bin/env bash
# What the container runs: puts the embedded models of the image into the volume, then serves the studio.
# It listens on all of the container's addresses; which of the host's can reach it is decided by `docker run -p`.
#
# The volume has to belong to the studio's user. Started as root, this hands a volume that root owns over to that user
# and goes on as that user; nothing else is ever done as root.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

home=${GRPO_STUDIO_HOME:-/workspace}
user=studio

if [[ $(id -u) == 0 ]]; then
    mkdir -p "$home"
    [[ $(stat -c %u "$home") == "$(id -u "$user")" ]] || chown -R "$user:$user" "$home"
    export HOME=/home/$user
    exec setpriv --reuid="$user" --regid="$user" --init-groups "$0" "$@"
fi

if ! mkdir -p "$home/models" 2>/dev/null || [[ ! -w $home || ! -w $home/models ]]; then
    fail "The volume at $home cannot be written by this container's user (id $(id -u)). Hand it over once by starting the" \
        "same container with --user root, which changes its owner and goes on as an ordinary user, or run on the host:" \
        "chown -R $(id -u) FOLDER"
fi

# Copied, not linked: the volume stays whole without this image. A copy that breaks off leaves no half of a model.
for model in /opt/grpo-studio/models/*/; do
    name=$(basename "$model")
    if [[ -d $model && ! -e $home/models/$name ]]; then
        part=$(mktemp -d "$home/models/.$name.XXXXXX")
        cp -r "$model." "$part"
        chmod 755 "$part"
        mv -T "$part" "$home/models/$name"
    fi
done

python -m core prepare
exec python scripts/serve.py 0.0.0.0 8501
