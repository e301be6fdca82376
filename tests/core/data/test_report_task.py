"""The task "report": from a table and its draft to a report that is kept, and mends that do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.data.draft import ColumnMapping
from core.data.quality import Report, is_current, kept_report, run_report
from core.data.tables import Table
from core.errors import DataError
from core.jobs.tasks import silent
from core.paths import Home
from tests.build_tables import decide, make_draft, make_table

VIGNETTE = (
    "A 58-year-old man with hypertension develops abrupt tearing chest pain radiating to the back, with unequal blood "
    "pressures in the arms and a widened mediastinum. What is the likely diagnosis?"
)
ROWS = [
    {"question": VIGNETTE, "answer": "Aortic dissection.", "set": "test"},
    {"question": VIGNETTE.replace("58", "61"), "answer": "<think>Tearing.</think> Aortic dissection.", "set": "train"},
    {"question": "What does Mr Smith have?", "answer": "Call 020 7946 0958.", "set": "train"},
    {"question": "What does mr smith have", "answer": "Gout.", "set": "train"},
    {"question": "What is gout?", "answer": None, "set": "train"},
    {"question": "Which crystals cause gout?", "answer": "<reasoning>Urate.</reasoning>", "set": "validation"},
]


@pytest.fixture
def table(home: Home, tiny_models: Path) -> Table:
    made = make_table(home, ROWS)
    columns = ColumnMapping(question="question", answer="answer", split="set")
    decide(made, make_draft(made, mapping=columns, model=str(tiny_models / "policy"), max_prompt_length=4000))
    return made


def test_the_report_is_returned_and_kept_beside_the_table(home: Home, table: Table) -> None:
    result = Report.model_validate(run_report(home, {"table": table.id}, silent))
    assert result == kept_report(table) and is_current(table)
    assert result.rows == 6 and result.lengths.prompt.texts == 6
    kinds = {finding.kind for finding in result.findings}
    assert {"empty answer", "conflict", "split overlap", "reasoning", "identifier: name", "identifier: phone"} <= kinds


def test_mends_take_their_findings_away_until_none_is_left(home: Home, table: Table) -> None:
    for _ in range(4):
        found = Report.model_validate(run_report(home, {"table": table.id}, silent)).findings
        draft = table.draft()
        assert draft is not None
        decide(table, draft.model_copy(update={"mends": (*draft.mends, *(one.mend for one in found if one.mend))}))
    assert [finding.title for finding in kept_report(table).findings] == []


def test_a_report_on_another_draft_is_not_current(home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    draft = table.draft()
    assert draft is not None
    decide(table, draft.model_copy(update={"max_prompt_length": 100}))
    assert not is_current(table)


def test_without_a_report_or_a_mapping_it_says_what_to_do(home: Home, table: Table) -> None:
    with pytest.raises(DataError, match="Make one first"):
        kept_report(table)
    assert not is_current(table)
    with pytest.raises(DataError, match="Choose them first"):
        run_report(home, {"table": make_table(home, ROWS, "table-2").id}, silent)
