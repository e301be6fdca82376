"""What the pages take as given: where the home folder is, how often a live view moves, how much it shows."""

from __future__ import annotations

from core.paths import Home

REFRESH_SECONDS = 1.0
"""How often the progress of a live run moves."""
LIST_REFRESH_SECONDS = 2.0
"""How often the list of runs moves while one of them is live."""
TABLE_REFRESH_SECONDS = 6.0
"""How often completions, effective weights and the log of a live run are looked at."""
CHART_POINTS = 600
"""Points a curve may have; more is not seen and slows the browser down."""
LOG_LINES = 200
TEXT_ROW_HEIGHT = 62
"""Of the rows of a table of completions, in pixels: room for three lines."""


def curve_refresh_seconds(step_seconds: float) -> float:
    """How often the curves of a live run move: a few times a step, so that they take little from the training.

    >>> curve_refresh_seconds(0.2), curve_refresh_seconds(8.0), curve_refresh_seconds(60.0)
    (1.0, 2.0, 5.0)
    """
    return min(max(step_seconds / 4, REFRESH_SECONDS), 5.0)


def open_home() -> Home:
    """The home folder that the environment names.

    Raises:
        StorageError: it cannot be written.
    """
    return Home.open()
