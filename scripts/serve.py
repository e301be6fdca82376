"""Serves the studio: `python scripts/serve.py ADDRESS PORT`, for a person, a container and Cloudera alike.

What keeps strangers out stands on the command line, which no environment variable and no other configuration overrides.
"""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from core.errors import ConfigError  # noqa: E402
from core.quotas import limits  # noqa: E402
from core.scrubbing import scrub_output  # noqa: E402

SAFE = {
    "server.enableCORS": "true",
    "server.enableXsrfProtection": "true",
    "server.enableStaticServing": "false",
    "server.enableAgentApi": "false",
    "server.headless": "true",
    "server.showEmailPrompt": "false",
    "client.showErrorDetails": "type",
    "client.showErrorLinks": "false",
    "browser.gatherUsageStats": "false",
    "global.developmentMode": "false",
}


def main(address: str, port: str) -> None:
    """Serve until the process is ended."""
    options = SAFE | {"server.address": address, "server.port": port}
    os.chdir(PROJECT)  # where Streamlit looks for its configuration
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # or anybody on this machine could say whose request it passes on
    sys.argv = ["streamlit", "run", "studio/app.py"]
    sys.argv += [part for name, value in options.items() for part in (f"--{name}", value)]
    scrub_output()
    from streamlit.web.cli import main as streamlit  # noqa: PLC0415 its log is opened now

    from studio.borders import borders  # noqa: PLC0415

    try:
        borders(address)
        limits()
    except ConfigError as error:
        sys.exit(f"The studio does not start: {error}")
    streamlit(prog_name="streamlit")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Name an address and a port: python scripts/serve.py 127.0.0.1 8501")
    main(*sys.argv[1:])
