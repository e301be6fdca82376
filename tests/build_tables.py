"""Builds tables in a home without reading a source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from core.config import PromptConfig
from core.data.draft import ColumnMapping, Draft
from core.data.tables import ROW, About, Table, tables_folder
from core.paths import Home, write_json
from core.prompts import PROMPTS

PROMPT: PromptConfig = PROMPTS["concise"].prompt


def make_table(home: Home, rows: Sequence[Mapping[str, str | None]], table_id: str = "table-1") -> Table:
    """A table with these rows, numbered from 1; the first row says which columns there are."""
    folder = tables_folder(home) / table_id
    folder.mkdir()
    columns = list(rows[0]) if rows else ["question", "answer"]
    data = {name: pa.array([row[name] for row in rows], pa.string()) for name in columns}
    numbers = pa.array(range(1, len(rows) + 1), pa.int64())
    pq.write_table(pa.table({ROW: numbers, **data}), folder / "rows.parquet")
    digest = hashlib.sha256((folder / "rows.parquet").read_bytes()).hexdigest()
    about = About(title="ward.csv", origin="file", sha256=digest, rows=len(rows), columns=tuple(columns))
    write_json(folder / "about.json", about.model_dump(mode="json"))
    return Table(folder)


def make_draft(table: Table, **changes: object) -> Draft:
    """A draft with columns `question` and `answer` and the concise prompt."""
    mapping = changes.pop("mapping", ColumnMapping(question="question", answer="answer"))
    return Draft.model_validate({"table": table.id, "mapping": mapping, "prompt": PROMPT, **changes})


def decide(table: Table, draft: Draft) -> None:
    """Keep this draft, whatever was decided about the table before."""
    table.revise(lambda _: draft)
