"""What figures were measured on."""

from __future__ import annotations

import platform
import subprocess
from typing import Any

from core.machine import Machine
from core.paths import Home


def machine(home: Home) -> dict[str, Any]:
    """The machine, its packages and the commit, for a result."""
    found = Machine.inspect(home)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": found.cores,
        "memory_gb": round(found.memory_bytes / 1e9, 1),
        "gpus": [gpu.name for gpu in found.gpus],
        "packages": {name: version for name, version in found.packages.items() if version},
        "commit": commit.stdout.strip(),
    }
