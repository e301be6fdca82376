"""Component scores by content, so that nothing expensive is computed twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from core.content_hash import content_hash

_LOOKUP = 500
"""Keys asked for in one query; SQLite allows a limited number of parameters."""


Score = TypeVar("Score", bound=float | None)


class ScoreCache:
    """A table from the hash of (scorer, texts) to a score, on disk; shared by every process that uses one home."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, score REAL NOT NULL) WITHOUT ROWID")

    def scores(
        self, scorer: str, items: Sequence[tuple[str, ...]], compute: Callable[[list[tuple[str, ...]]], list[Score]]
    ) -> list[Score]:
        """The score of every item, computing each distinct one that is not known yet exactly once.

        Args:
            scorer: says what was measured and with which model; part of the key.
            items: the texts of each item.
            compute: scores the items it is given, in their order; None, for no score, is not remembered.
        """
        keys = [content_hash(item, scorer) for item in items]
        known = cast("dict[bytes, Score]", self._known(set(keys)))
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in known}
        if missing:
            fresh = dict(zip(missing, compute(list(missing.values())), strict=True))
            found = [(key, score) for key, score in fresh.items() if score is not None]
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", found)
            self._db.execute("COMMIT")
            known |= fresh
        return [known[key] for key in keys]

    def _known(self, keys: set[bytes]) -> dict[bytes, float]:
        found: dict[bytes, float] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), _LOOKUP):
            part = wanted[start : start + _LOOKUP]
            query = f"SELECT key, score FROM scores WHERE key IN ({','.join('?' * len(part))})"
            found.update(self._db.execute(query, part).fetchall())
        return found

    def close(self) -> None:
        self._db.close()
