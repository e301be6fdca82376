"""What the quality report finds, which rows it names, and that its mends take the findings away."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pyarrow as pa
import pytest

from core.config import PromptConfig
from core.data import scan
from core.data.draft import ColumnMapping, Draft, DropRows, Redact, Resplit, StripReasoning
from core.data.findings import Rows
from core.data.quality import Finding, KeptReport, Report, report
from core.jobs.tasks import TaskStopped
from core.paths import PROJECT

Record = tuple[str | None, str | None, str]
DRAFT = Draft(table="t", mapping=ColumnMapping(question="q", answer="a"), prompt=PromptConfig(system="Be brief."))
BASE: list[Record] = [
    ("What is the first sign of scurvy in an adult?", "Bleeding gums are the first sign of scurvy.", "train"),
    ("Why does iron deficiency make people tired?", "Without iron the blood carries less oxygen.", "train"),
    ("Which vaccine is given against shingles in old age?", "The recombinant zoster vaccine is given.", "test"),
]
VIGNETTE = (
    "A 58-year-old man with hypertension develops abrupt tearing chest pain radiating to the back, with unequal blood "
    "pressures in the arms and a widened mediastinum. What is the likely diagnosis?"
)


class Words:
    """Counts words, and says that the system prompt has ten."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def prompt_lengths(self, prompt: PromptConfig, questions: Sequence[str]) -> list[int]:
        return [10 + count for count in self.count(questions)]


def table(records: Sequence[Record]) -> pa.Table:
    """Rows numbered from 101, so that a number is never mistaken for a place."""
    columns = [pa.array([record[place] for record in records], pa.string()) for place in range(3)]
    numbers = pa.array(range(101, 101 + len(records)), pa.int64())
    return pa.table([numbers, *columns], names=["row", "question", "answer", "split"])


def found(records: Sequence[Record], kind: str, draft: Draft = DRAFT) -> list[Finding]:
    return [finding for finding in report(table(records), draft, Words()).findings if finding.kind == kind]


def only(records: Sequence[Record], kind: str, draft: Draft = DRAFT) -> Finding:
    (finding,) = found(records, kind, draft)
    return finding


def test_clean_rows_have_no_finding() -> None:
    assert report(table(BASE), DRAFT, Words()).findings == ()


def test_empty_and_null_cells_are_named_by_column() -> None:
    records: list[Record] = [*BASE, (None, "A", "train"), ("Q", "  ", "train"), ("R", None, "test")]
    assert only(records, "empty question").rows == (104,)
    finding = only(records, "empty answer")
    assert (finding.rows, finding.column, finding.mend) == (
        (105, 106),
        "answer",
        DropRows(reason="no answer", rows=(105, 106)),
    )


def test_the_first_of_duplicates_stays() -> None:
    question, answer, split = BASE[0]
    records: list[Record] = [*BASE, (str(question).upper(), answer, split), (question, f"{answer}!", split)]
    assert only(records, "duplicate").mend == DropRows(reason="duplicate", rows=(104, 105))
    assert not found(records, "conflict") and not found(records, "near duplicate")


def test_the_same_question_with_another_answer_is_a_finding_of_its_own() -> None:
    records: list[Record] = [*BASE, (BASE[0][0], "Tiredness.", "train"), (BASE[0][0], "Tiredness", "train")]
    assert only(records, "conflict").rows == (104,)
    assert only(records, "duplicate").rows == (105,)


def test_near_duplicates_are_named_without_the_first() -> None:
    records: list[Record] = [*BASE, (VIGNETTE, "a", "train"), (VIGNETTE.replace("58", "61"), "a", "train")]
    assert only(records, "near duplicate").rows == (105,)


def test_of_a_question_in_two_splits_the_training_row_goes() -> None:
    changed = VIGNETTE.replace("58", "61")
    records: list[Record] = [*BASE * 4, (VIGNETTE, "a", "train"), (changed, "a", "test"), (changed, "a", "validation")]
    finding = only(records, "split overlap")
    assert finding.rows == (113, 115) and isinstance(finding.mend, DropRows)
    assert not found(records, "near duplicate"), "that finding is about one split"


def test_a_split_column_that_leaks_throughout_is_given_up() -> None:
    records: list[Record] = [(q, a, split) for q, a, _ in BASE for split in ("train", "test")]
    own = DRAFT.model_copy(update={"mapping": ColumnMapping(question="q", answer="a", split="s")})
    assert only(records, "split overlap", own).mend == Resplit()


def test_answers_with_reasoning_are_named() -> None:
    records: list[Record] = [*BASE, ("Why so?", "<think>Hm.</think> Because.", "train")]
    finding = only(records, "reasoning")
    assert finding.mend == StripReasoning(rows=(104,)) and "tags in 1" in finding.detail


def test_identifiers_are_named_by_kind_and_column() -> None:
    records: list[Record] = [
        *BASE,
        ("Mr Smith has a cough. Why?", "Mr Smith smokes.", "train"),
        ("Whom to ask?", "Call 020 7946 0958.", "train"),
    ]
    names, phones = only(records, "identifier: name"), only(records, "identifier: phone")
    assert (names.rows, names.column, names.mend) == ((104,), None, Redact(rows=(104,)))
    assert (phones.rows, phones.column) == ((105,), "answer")


def test_identifiers_in_carried_columns_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = pa.array([None, "Ward 3", "Mr Smith"], pa.string())
    lines = pa.array(["", "MRN", "12345678"], pa.string())
    rows = table(BASE).append_column("note", cells).append_column("number", lines)
    (finding,) = report(rows, DRAFT, Words()).findings
    assert (finding.kind, finding.rows, finding.mend) == ("identifier: name", (103,), Redact(rows=(103,)))
    assert finding.column is None and "In 1 of them it stands in a carried column." in finding.detail
    monkeypatch.setattr(scan, "_POOLED", 1)
    assert report(rows, DRAFT, Words()).findings == (finding,)


def test_rows_in_another_language_are_named() -> None:
    german = "Welche Nebenwirkungen hat Metformin bei älteren Patienten mit Niereninsuffizienz?"
    records: list[Record] = [*BASE, *BASE, (german, "Vor allem Durchfall und selten eine Laktatazidose.", "train")]
    result = report(table(records), DRAFT, Words())
    assert next(iter(result.languages)) == "en" and sum(result.languages.values()) == pytest.approx(1, abs=1e-3)
    finding = only(records, "language")
    assert finding.rows == (107,) and "German" in finding.title and isinstance(finding.mend, DropRows)


def test_limits_are_suggested_from_the_lengths_with_room_for_reasoning_and_tags() -> None:
    records: list[Record] = [(f"q{number} " * 30, f"a{number} " * 100, "train") for number in range(200)]
    records[7] = ("long " * 500, "long " * 900, "train")
    result = report(table(records), DRAFT, Words())
    assert result.lengths.prompt.p99 == 40 and result.lengths.prompt.longest == 510
    assert result.suggested_max_prompt_length == 40
    assert result.suggested_max_completion_length == 208, "100 + 100 + 2 for the tags, rounded up to a multiple of 8"
    assert "99 of 100" in result.prompt_length_reason and "100 for the reasoning" in result.completion_length_reason
    assert sum(result.lengths.answer.counts) == 200
    assert len(result.lengths.answer.edges) == len(result.lengths.answer.counts) + 1
    assert result.lengths.answer.edges[-1] > 900


def test_what_the_present_limits_would_cut_is_named() -> None:
    records: list[Record] = [*BASE, ("long " * 600, "long " * 300, "train")]
    prompts = only(records, "long prompt")
    assert prompts.rows == (104,) and prompts.mend is None and "Raise the longest prompt to 616" in prompts.detail
    assert only(records, "long completion").rows == (104,)


def test_a_few_rows_over_a_limit_that_is_right_can_be_dropped() -> None:
    records: list[Record] = [(f"q{number} " * 30, f"a{number}", "train") for number in range(200)]
    records[7] = ("long " * 600, "short", "train")
    assert only(records, "long prompt").mend == DropRows(reason="prompt too long", rows=(108,))


@pytest.mark.parametrize("records", [[], [(None, None, "train")], [("?", "!", "test")]])
def test_hardly_any_rows_make_a_report_too(records: list[Record]) -> None:
    result = report(table(records), DRAFT, Words())
    assert result.rows == len(records)
    assert result.suggested_max_prompt_length >= 16 and result.suggested_max_completion_length >= 8


def test_a_report_survives_json() -> None:
    result = report(table([*BASE, ("", "a", "train")]), DRAFT, Words())
    kept = KeptReport(draft=DRAFT, report=result)
    assert KeptReport.model_validate_json(kept.model_dump_json()) == kept
    assert Report.model_validate(result.model_dump(mode="json")) == result


def test_problems_stand_before_warnings() -> None:
    records: list[Record] = [*BASE, BASE[0], ("", "a", "train")]
    severities = [finding.severity for finding in report(table(records), DRAFT, Words()).findings]
    assert severities == ["problem", "warning"]


def test_several_processes_see_what_one_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows.of(table([*BASE, ("Mr Smith?", "Yes.", "train")] * 100))
    with scan.scanning(rows) as alone:
        expected = alone(lambda *_: None)
    monkeypatch.setattr(scan, "_POOLED", 1)
    with scan.scanning(rows) as together:
        assert together(lambda *_: None) == expected
    assert len(expected) == 400 and expected[3].identifiers == (frozenset({"name"}), frozenset(), frozenset())


def test_a_stop_ends_the_report() -> None:
    def stop(phase: str, done: int = 0, total: int = 0) -> None:
        raise TaskStopped

    with pytest.raises(TaskStopped):
        report(table(BASE), DRAFT, Words(), stop)


def test_the_interface_can_import_the_report_without_what_makes_it() -> None:
    heavy = ("torch", "transformers", "spacy", "presidio_analyzer", "scipy", "py3langid")
    program = f"import core.data.quality, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
