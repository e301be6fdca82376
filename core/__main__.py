"""`python -m core VERB`: the studio's work without a browser."""

import sys

from core.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
