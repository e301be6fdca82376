"""What the form for a new run starts from: one of the sizes, or the settings of another run with changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.config import EMBEDDED_POLICY, RunConfig, with_changes
from core.data.prepared import find
from core.errors import DataError, StudioError
from core.paths import Home
from core.runs.run import find_run
from studio import output, state


@dataclass(frozen=True)
class Cloned:
    """A run whose settings are taken over.

    Attributes:
        run_id: of that run.
        before: its own settings.
        config: the same with the changes that were asked for.
    """

    run_id: str
    before: RunConfig
    config: RunConfig


@dataclass(frozen=True)
class Origin:
    """Where the first values of the form's widgets come from.

    Attributes:
        prefix: how the keys of the widgets begin, so that each origin has widgets of its own.
        model: the model that is named at first.
        data: the prepared data set that is wanted, by name.
        cloned: the run that is taken over; None for one of the sizes.
    """

    prefix: str
    model: str
    data: str | None
    cloned: Cloned | None = None

    def key(self, name: str) -> str:
        """The key of a widget."""
        return f"{self.prefix}{name}"


def origin(home: Home) -> Origin:
    """What the address asks the form to start from; says so when that cannot be had, and starts from a size."""
    try:
        wanted = state.wanted_clone()
        if wanted is not None:
            before = find_run(home, wanted.run_id).config()
            config = with_changes(before, wanted.changes)
            prefix = f"{wanted.run_id}.{_digest(wanted.changes)}."
            return Origin(prefix, config.model, config.data.prepared, Cloned(wanted.run_id, before, config))
    except StudioError as error:
        output.problem(error)
    data = state.wanted_data()
    return Origin("", _prepared_for(home, data), data)


def _digest(changes: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(changes), sort_keys=True).encode()).hexdigest()[:8]


def _prepared_for(home: Home, data: str | None) -> str:
    """The model that a prepared data set was made for; the embedded one when there is no such data set."""
    try:
        return find(home, data).manifest.draft.model if data else EMBEDDED_POLICY
    except DataError:
        return EMBEDDED_POLICY
