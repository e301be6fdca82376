#!/usr/bin/env bash
# A step of the image: turns the embedded models into folders that can be loaded, so that a first start needs neither
# half a minute nor a network. scripts/container.sh copies them into the volume. Run in the studio's folder.
set -euo pipefail

GRPO_STUDIO_HOME=/opt/grpo-studio HF_HUB_OFFLINE=1 /opt/venv/bin/python -m core prepare
chmod -R a+rX /opt/grpo-studio
/opt/venv/bin/python -m compileall -q core studio pages
