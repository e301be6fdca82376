"""What the pages take as given: where the home folder is, how often a live view moves, how much it shows."""

from __future__ import annotations

from core.paths import Home

REFRESH_SECONDS = 1.0
"""How often the progress and the curves of a live run move."""
SLOW_REFRESH_SECONDS = 2.0
"""How often what changes once a step is looked at: completions, the log, the list of runs."""
CHART_POINTS = 1000
"""Points a curve may have; more is not seen and slows the browser down."""
LOG_LINES = 200


def open_home() -> Home:
    """The home folder that the environment names.

    Raises:
        StorageError: it cannot be written.
    """
    return Home.open()
