"""Keeps Python's garbage collector from walking over what stays anyway.

Streamlit collects after every run of a page or a part. With pandas loaded a collection walks 140,000 objects in 70 ms,
six times what drawing a live run costs, and takes that time from the training on the same processor.
"""

from __future__ import annotations

import atexit
import gc
import sys
from functools import cache


def leave_out_what_is_there() -> None:
    """Leave all objects that live now out of garbage collections."""
    gc.collect()
    gc.freeze()


def leave_out_modules() -> None:
    """Leave what has been imported out of garbage collections; again only when more has been imported since."""
    _leave_out_modules(len(sys.modules))


@cache
def _leave_out_modules(count: int) -> None:
    leave_out_what_is_there()


atexit.register(gc.unfreeze)  # libraries that count their objects at the end would call frozen ones lost
