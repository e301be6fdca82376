"""Files of every format with the same two rows, and what becomes of them as tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.data.sources import import_table
from core.data.tables import Table, find_table
from core.jobs.tasks import silent
from core.paths import Home
from tests.build_workbook import write_workbook

CSV = "question,answer\nWhy?,Because.\nHow?,So.\n"


ROWS = [("Why?", "Because."), ("How?", "So.")]


GERMAN = "Frage,Antwort\nWas ist eine Lungenentzündung?,Eine Entzündung der Lunge.\n"


CHINESE = "问题,答案\n患者发热三天，最可能的诊断是什么？,社区获得性肺炎，建议胸部影像学检查。\n"


CZECH = (
    "otázka,odpověď\n"
    + (
        "Jaká je nejčastější příčina zápalu plic u dospělých?,Nejčastěji jde o bakteriální infekci dýchacích cest.\n"
        "Který lék je vhodný při vysokém tlaku?,Začíná se přípravkem ze skupiny inhibitorů.\n"
        "Proč má nemocný žloutenku?,Překážka ve žlučových cestách brání odtoku žluči do střeva.\n"
    )
    * 10
)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(home: Home, path: Path, **options: Any) -> Table:
    made = import_table(home, {"origin": "file", "path": str(path), **options}, silent)
    return find_table(home, made["table"])


def cells(table: Table) -> list[tuple[Any, ...]]:
    return [tuple(value for name, value in row.items() if name != "row") for row in table.page(0, 1_000)]


def numbers(table: Table) -> list[int]:
    return [row["row"] for row in table.page(0, 1_000)]


def parquet(folder: Path, name: str = "a.parquet", **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def example(folder: Path, name: str) -> Path:
    """The same two rows in the format that the name's ending says."""
    records = [{"question": question, "answer": answer} for question, answer in ROWS]
    suffix = Path(name).suffix
    if suffix == ".parquet":
        return parquet(folder, name, question=[q for q, _ in ROWS], answer=[a for _, a in ROWS])
    if suffix == ".xlsx":
        return write_workbook(folder / name, {"Sheet1": [("question", "answer"), *ROWS]})
    text = {
        ".csv": CSV,
        ".tsv": CSV.replace(",", "\t"),
        ".json": json.dumps(records, indent=1),
        ".jsonl": "\n".join(map(json.dumps, records)),
        ".ndjson": "\n".join(map(json.dumps, records)) + "\n\n",
    }
    return put(folder, name, text[suffix])
