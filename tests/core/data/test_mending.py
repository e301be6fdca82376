from collections.abc import Mapping

import pytest

from core.data.draft import ColumnMapping, Draft, DropRows, Redact, Resplit, Shares, StripReasoning
from core.data.mending import Change, prepared_rows, preview, run_preview
from core.data.splits import split_of
from core.data.tables import Table
from core.errors import DataError
from core.jobs.tasks import silent
from core.paths import Home
from tests.build_tables import decide, make_draft, make_table

ROWS: list[Mapping[str, str | None]] = [
    {"Q": " What is sepsis? ", "A": "<think>Fever.</think> Organ failure.", "set": "Train", "unit": "ward 3"},
    {"Q": "How is gout treated?", "A": "With colchicine.", "set": "dev", "unit": None},
    {"Q": "Why did Mr Smith cough?", "A": "Pneumonia. Call 020 7946 0958.", "set": "test", "unit": "ward 4"},
    {"Q": None, "A": "Nothing asked.", "set": "train", "unit": ""},
]
COLUMNS = ColumnMapping(question="Q", answer="A", split="set", carried=("unit",))


@pytest.fixture
def table(home: Home) -> Table:
    return make_table(home, ROWS)


@pytest.fixture
def draft(table: Table) -> Draft:
    return make_draft(table, mapping=COLUMNS)


def test_columns_get_their_names_and_splits_their_spelling(table: Table, draft: Draft) -> None:
    rows = prepared_rows(table, draft)
    assert rows.column_names == ["row", "question", "answer", "split", "unit"]
    assert rows.to_pylist()[0] == {
        "row": 1,
        "question": "What is sepsis?",
        "answer": "<think>Fever.</think> Organ failure.",
        "split": "train",
        "unit": "ward 3",
    }
    assert rows.column("split").to_pylist() == ["train", "validation", "test", "train"]
    assert rows.column("question")[3].as_py() is None, "an empty cell is for the report, not hidden"


def test_rows_are_left_out_by_their_number_in_the_source(table: Table, draft: Draft) -> None:
    mended = draft.model_copy(
        update={"mends": (DropRows(reason="empty", rows=(4, 2)), DropRows(reason="x", rows=(2,)))}
    )
    assert prepared_rows(table, mended).column("row").to_pylist() == [1, 3]


def test_reasoning_is_stripped_from_the_named_rows_only(home: Home) -> None:
    rows = [{"question": f"Why {n}?", "answer": "<think>Fever.</think> Flu."} for n in range(2)]
    table = make_table(home, rows)
    mended = make_draft(table, mends=(StripReasoning(rows=(2,)),))
    assert prepared_rows(table, mended).column("answer").to_pylist() == ["<think>Fever.</think> Flu.", "Flu."]


def test_identifiers_are_redacted_in_every_text_of_the_named_rows(home: Home) -> None:
    row = {"question": "Why does Mr Smith cough?", "answer": "Ask Mrs Jones.", "note": "Mr Smith again"}
    table = make_table(home, [row, row])
    columns = ColumnMapping(question="question", answer="answer", carried=("note",))
    rows = prepared_rows(table, make_draft(table, mapping=columns, mends=(Redact(rows=(1,)),))).to_pylist()
    assert not any(name in str(rows[0]) for name in ("Smith", "Jones"))
    assert {name: rows[1][name] for name in row} == row


def test_mends_are_applied_in_their_order(home: Home) -> None:
    table = make_table(home, [{"question": "Why?", "answer": "<think>Mr Smith.</think> Flu."}] * 2)
    mends = (StripReasoning(rows=(1, 2)), DropRows(reason="duplicate", rows=(2,)), Redact(rows=(1, 2)))
    (row,) = prepared_rows(table, make_draft(table, mends=mends)).to_pylist()
    assert (row["row"], row["answer"]) == (1, "Flu.")


@pytest.mark.parametrize("word", ["fold 3", "", None])
def test_a_word_that_names_no_split_is_named_with_its_row(word: str | None, home: Home) -> None:
    rows = [{"Q": "Why?", "A": "So.", "set": "train"}, {"Q": "How?", "A": "Thus.", "set": word}]
    table = make_table(home, rows)
    draft = make_draft(table, mapping=ColumnMapping(question="Q", answer="A", split="set"))
    with pytest.raises(DataError, match=f"Row 2 has {word or ''!r} in the column 'set'"):
        prepared_rows(table, draft)
    assert prepared_rows(table, draft.model_copy(update={"mends": (Resplit(),)})).num_rows == 2


def test_near_duplicates_stay_on_one_side(home: Home) -> None:
    about = "has coughed blood for three weeks, lost weight, sweats at night and has smoked for forty years. Why"
    places = ("Oslo", "a village in Kenya", "the coast", "Beijing", "a mine", "prison", "the Alps", "a ship")
    pairs = [(f"A man of {20 + n} from {place} {about}?", f"A man of {20 + n} from {place} {about}, do you think?")
             for n, place in enumerate(places)]  # fmt: skip
    shares = Shares(validation=0.3, test=0.3)
    assert any(split_of(one, shares) != split_of(other, shares) for one, other in pairs), "a hash alone parts some"
    table = make_table(home, [{"question": question, "answer": "x"} for pair in pairs for question in pair])
    splits = prepared_rows(table, make_draft(table, shares=shares)).column("split").to_pylist()
    assert splits[::2] == splits[1::2]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ColumnMapping(question="Frage", answer="A"),
            "no column 'Frage'. Choose from 'Q', 'A', 'set', 'unit'",
        ),
        (ColumnMapping(question="Q", answer="A", split="fold"), "no column 'fold'"),
        (ColumnMapping(question="Q", answer="A", carried=("x",)), "no column 'x'"),
        (ColumnMapping(question="Q", answer="Q"), "chosen as question and as answer"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(columns: ColumnMapping, message: str, table: Table) -> None:
    with pytest.raises(DataError, match=message):
        prepared_rows(table, make_draft(table, mapping=columns))


def test_a_carried_column_cannot_hide_a_prepared_one(home: Home) -> None:
    table = make_table(home, [{"Q": "Why?", "A": "So.", "split": "x"}])
    with pytest.raises(DataError, match="'split' cannot be carried along"):
        prepared_rows(table, make_draft(table, mapping=ColumnMapping(question="Q", answer="A", carried=("split",))))


def test_a_preview_of_dropping_shows_the_questions(table: Table, draft: Draft) -> None:
    changes = preview(table, draft, DropRows(reason="x", rows=(4, 2, 99)))
    assert changes == [Change(2, "question", "How is gout treated?", None), Change(4, "question", None, None)]


def test_a_preview_of_stripping_shows_before_and_after(table: Table, draft: Draft) -> None:
    changes = preview(table, draft, StripReasoning(rows=(1, 2)))
    assert changes == [Change(1, "answer", "<think>Fever.</think> Organ failure.", "Organ failure.")]


def test_a_preview_of_redacting_names_the_columns(table: Table, draft: Draft) -> None:
    changes = preview(table, draft, Redact(rows=(1, 2, 3)))
    assert [(change.row, change.column) for change in changes] == [(3, "question"), (3, "answer")]
    assert "Smith" not in str(changes[0].after)


def test_a_preview_starts_from_the_mends_that_are_there(table: Table, draft: Draft) -> None:
    mended = draft.model_copy(update={"mends": (DropRows(reason="x", rows=(1,)),)})
    assert preview(table, mended, StripReasoning(rows=(1,))) == []


def test_a_preview_shows_what_preparing_then_does(table: Table, draft: Draft) -> None:
    mend = StripReasoning(rows=(1, 2, 3))
    (change,) = preview(table, draft, mend)
    rows = prepared_rows(table, draft.model_copy(update={"mends": (mend,)})).to_pylist()
    assert rows[0]["answer"] == change.after


def test_a_preview_of_splitting_shows_rows_that_move(table: Table, draft: Draft) -> None:
    after = prepared_rows(table, draft.model_copy(update={"mends": (Resplit(),)})).column("split").to_pylist()
    before = ["Train", "dev", "test", "train"]
    same = {"Train": "train", "dev": "validation"}
    moved = [
        Change(number, "split", was, will)
        for number, (was, will) in enumerate(zip(before, after, strict=True), start=1)
        if same.get(was, was) != will
    ]
    assert preview(table, draft, Resplit()) == moved != []
    assert preview(table, make_draft(table, mapping=ColumnMapping(question="Q", answer="A")), Resplit()) == []


def test_a_preview_is_short_however_much_changes(home: Home) -> None:
    table = make_table(home, [{"question": f"Why {n}?", "answer": "<think>a</think> b"} for n in range(1200)])
    mend = StripReasoning(rows=tuple(range(1, 1201)))
    assert len(preview(table, make_draft(table), mend)) == 20
    assert [change.row for change in preview(table, make_draft(table), mend, limit=1100)] == list(range(1, 1101))


def test_the_task_previews_the_kept_draft(home: Home, table: Table, draft: Draft) -> None:
    arguments = {"table": table.id, "mend": {"kind": "drop", "reason": "x", "rows": [2]}}
    with pytest.raises(DataError, match=r"ward.csv has no question and answer column yet"):
        run_preview(home, arguments, silent)
    decide(table, draft)
    (change,) = run_preview(home, arguments, silent)
    assert change == {"row": 2, "column": "question", "before": "How is gout treated?", "after": None}
