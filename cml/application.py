"""The studio as a Cloudera AI Application: the script that the workspace runs, and runs again after a restart.

The workspace's proxy is the only one that reaches the port on the loopback address, and says in a header who is signed
in. A workspace runs scripts without telling them where they lie: the project's folder is the one they start in.
"""

import os
import subprocess
from pathlib import Path

project = Path(os.environ.get("GRPO_STUDIO_PROJECT") or Path.cwd())
port = os.environ.get("CDSW_APP_PORT") or os.environ["CDSW_READONLY_PORT"]
# Only what is not set: whoever administers the project has the last word. Its storage outlives the application.
settings = {
    "GRPO_STUDIO_HOME": str(project / "workspace"),
    "GRPO_STUDIO_TRUSTED_PROXY": "1",
    "GRPO_STUDIO_WITHIN": "application",
    "EXTRAS": "cpu",
} | {name: value for name, value in os.environ.items() if value}


def run(*command: str) -> None:
    """Run a command of the studio to its end; a failure ends the application with it."""
    subprocess.run(command, cwd=project, env=settings, check=True)


def finds_client() -> bool:
    """Whether the studio's environment has the client that starts training Jobs."""
    return subprocess.run([".venv/bin/python", "-c", "import cmlapi"], cwd=project, env=settings).returncode == 0


# Does nothing when all is there, and brings the environment up to date after a `git pull`.
run("bash", "cml/install.sh")
if settings.get("GRPO_STUDIO_LAUNCHER") == "cml" and not finds_client():
    settings["GRPO_STUDIO_LAUNCHER"] = "local"
    print(
        "The workspace's client cmlapi is not installed, so runs are trained inside this application, not in Jobs, and "
        "end with it. Run the project's install step again to train in Jobs.",
        flush=True,
    )
run(".venv/bin/python", "-m", "core", "prepare")
run(".venv/bin/python", "scripts/serve.py", "127.0.0.1", port)
