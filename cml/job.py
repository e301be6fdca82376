"""What a training Job of the workspace runs: one training run, named by the environment.

Arguments would not reach it: a workspace runs scripts in a kernel that has arguments of its own.
"""

import os
import subprocess
from pathlib import Path

project = Path(os.environ["GRPO_STUDIO_JOB_PROJECT"])
job = (os.environ["GRPO_STUDIO_JOB_FOLDER"], os.environ["GRPO_STUDIO_JOB_HOME"])
subprocess.run([".venv/bin/python", "-m", "core.jobs.pod", *job], cwd=project, check=True)
