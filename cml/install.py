"""The install step of the project: a Job that makes the studio's environment in the project's storage."""

import os
import subprocess
from pathlib import Path

project = Path(os.environ.get("GRPO_STUDIO_PROJECT") or Path.cwd())
settings = {"EXTRAS": "cpu"} | {name: value for name, value in os.environ.items() if value}
subprocess.run(["bash", "cml/install.sh"], cwd=project, env=settings, check=True)
subprocess.run([".venv/bin/python", "-m", "core", "prepare"], cwd=project, env=settings, check=True)
