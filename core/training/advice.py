"""Advice: what was noticed about a run or its settings, and which changes would mend it.

The checks before a start, the pre-flight and the coach all speak in these two values, so a page draws them in one way
and a mend is always a change of settings that one click can make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "warning", "stop"]
"""How serious a finding is: as it should be, worth a look, or a reason not to go on."""


@dataclass(frozen=True)
class Mend:
    """A change of settings.

    Attributes:
        label: what a button says, such as "Max completion length 256".
        changes: new values by dotted path, as `core.config.with_changes` takes them.
    """

    label: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """Something that was noticed.

    Attributes:
        name: of the rule that noticed it, such as `truncation`; the same finding keeps its name.
        level: how serious it is.
        message: one or two plain sentences with the numbers they rest on.
        mends: what would help, the best first.
    """

    name: str
    level: Level
    message: str
    mends: tuple[Mend, ...] = field(default=())
