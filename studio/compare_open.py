"""The comparison that the address names, with what was asked."""

from __future__ import annotations

from dataclasses import dataclass

from core.compare.comparison import Comparison, ComparisonRequest, find_comparison
from core.errors import StudioError
from core.paths import Home
from studio import compare_state, output


@dataclass(frozen=True)
class Opened:
    """A comparison with its request."""

    comparison: Comparison
    request: ComparisonRequest

    @property
    def id(self) -> str:
        return self.comparison.id


def opened(home: Home, view: str) -> Opened | None:
    """What is open in a view; None when nothing is, or when it is gone or damaged, which is said."""
    asked = compare_state.opened() if view == compare_state.ASK else compare_state.opened_batch()
    if not asked:
        return None
    try:
        comparison = find_comparison(home, asked)
        return Opened(comparison, comparison.request())
    except StudioError as error:
        output.problem(error)
        return None
