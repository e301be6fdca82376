import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from core.config import DataConfig
from core.data.draft import ColumnMapping
from core.data.prepared import PreparedData
from core.data.saving import save
from core.datasets import (
    Row,
    choose,
    fingerprint,
    held_out_rows,
    read_rows,
    refuse_held_out,
    training_rows,
)
from core.errors import DataError
from core.paths import Home
from tests.build_tables import make_draft, make_table

ROW = '{"question": "Why?", "answer": "Because."}'


def write(folder: Path, name: str, content: str | bytes) -> DataConfig:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return DataConfig(path=str(path))


def test_the_sample_data_is_what_it_says(home: Home) -> None:
    rows = read_rows(DataConfig(), home)
    splits = [row.split for row in rows]
    assert {split: splits.count(split) for split in splits} == {"train": 260, "validation": 40, "test": 60}
    assert len({row.question for row in rows}) == len(rows)
    assert all(len(row.answer.split()) <= 45 for row in rows)


def test_jsonl_and_csv_give_the_same_rows(home: Home, tmp_path: Path) -> None:
    jsonl = write(tmp_path, "a.jsonl", ROW + "\n\n" + ROW + "\n")
    table = write(tmp_path, "a.csv", "\ufeffquestion,answer\nWhy?,Because.\nWhy?,Because.\n")
    assert [(r.question, r.answer) for r in read_rows(jsonl, home)] == [("Why?", "Because.")] * 2
    assert [(r.question, r.answer) for r in read_rows(table, home)] == [("Why?", "Because.")] * 2


def test_columns_can_have_other_names(home: Home, tmp_path: Path) -> None:
    data = write(tmp_path, "a.jsonl", '{"Q": "Why?", "A": 3}')
    assert read_rows(data.model_copy(update={"question": "Q", "answer": "A"}), home)[0].answer == "3"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "a.jsonl is empty"),
        ("a.jsonl", "\n \n", "holds no rows"),
        ("a.csv", "question,answer\n", "holds no rows"),
        ("a.jsonl", (ROW + "\n") * 16 + '{"question": "Wh\n', "1 row.* of a.jsonl .* Line 17: it is not valid JSON"),
        (
            "a.jsonl",
            ROW + "\n[1]\n" + ROW + "\n3",
            "2 row.* Line 2: it is not a JSON object .* list; line 4: .* number",
        ),
        ("a.jsonl", ROW + '\n{"question": "Why?"}', "Line 2 of a.jsonl has no column 'answer'; it has 'question'"),
        ("a.jsonl", ROW + '\n{"question": "Why?", "answer": " "}', "have an empty 'answer': line 2"),
        ("a.jsonl", '{"question": null, "answer": "x"}', "have an empty 'question': line 1"),
        ("a.json", "[" + ROW + ', {"question": "Why?", "answer": ""}]', "have an empty 'answer': row 2"),
        ("a.csv", "question,answer\nWhy?,Because, really.\n", "Line 2: it has 3 cell.* but the heading has 2"),
        ("a.csv", 'question,answer\nWhy?,"Because\n', "Line 2: a double quote is opened here and never closed"),
        ("a.csv", "query;answer\nWhy?;Because\n", "Line 2 of a.csv has no column 'question'; it has 'query', 'answer'"),
        ("a.jsonl", '{"question": "Why?", "answer": "So.", "split": "fold 2"}', "Line 1 of a.jsonl has 'fold 2'"),
        ("a.jsonl", ROW + '\n{"question": ' + "9" * 5_000 + "}", "Line 2: it holds a number with too many"),
        ("a.jsonl", ROW + '\n{"question": ' + "[" * 100_000, "Line 2: its JSON is nested too deeply"),
        ("a.jsonl", ROW + '\n{"question": ["\\ud800"]}', "Line 2: character 3 of the cell 'question' is damaged"),
        (
            "a.jsonl",
            ROW.encode() + b'\n{"question": "\xc3\xa9", "answer": "\xff"}',
            "Line 2: character 1 of the cell 'ans",
        ),
        ("a.csv", "question,answer,answer\nWhy?,So.,No.\n", "has more than one column 'answer'"),
        ("a.xml", "<a/>", "a.xml has no column 'question'; it has '<a/>'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(
    name: str, content: str | bytes, message: str, home: Home, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(write(tmp_path, name, content), home)


@pytest.mark.parametrize("encoding", ["cp1252", "cp1250", "gb18030"])
def test_letters_that_could_only_be_guessed_are_refused_and_the_data_page_is_named(
    encoding: str, home: Home, tmp_path: Path
) -> None:
    answer = "Fièvre élevée." if encoding == "cp1252" else "Zażółć gęślą." if encoding == "cp1250" else "多喝水休息"
    data = write(tmp_path, "a.csv", f"question,answer\nWhy?,{answer}\n".encode(encoding))
    with pytest.raises(DataError, match=r"a\.csv is not UTF-8 text.* can only be guessed\. Open it on the Data page"):
        read_rows(data, home)


@pytest.mark.parametrize("name", ["a.parquet", "a.tsv", "a.ndjson", "utf16.csv"])
def test_every_format_that_needs_no_guess_is_read(name: str, home: Home, tmp_path: Path) -> None:
    rows = pd.DataFrame({"question": ["Why?", "When?"], "answer": ["Für immer.", "3"], "split": ["train", "test"]})
    path = tmp_path / name
    match path.suffix:
        case ".parquet":
            rows.to_parquet(path)
        case ".ndjson":
            rows.to_json(path, orient="records", lines=True, force_ascii=False)
        case _:
            rows.to_csv(path, index=False, sep="\t", encoding="utf-16" if name == "utf16.csv" else "utf-8")
    read = read_rows(DataConfig(path=str(path)), home)
    assert [(row.question, row.answer, row.split) for row in read] == [
        ("Why?", "Für immer.", "train"),
        ("When?", "3", "test"),
    ]


def test_a_missing_file_and_a_folder_are_named(home: Home, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no data file"):
        read_rows(DataConfig(path=str(tmp_path / "none.jsonl")), home)
    with pytest.raises(DataError, match="is a folder"):
        read_rows(DataConfig(path=str(tmp_path)), home)


def test_rows_are_chosen_by_the_seed_alone(home: Home) -> None:
    rows = read_rows(DataConfig(), home)
    assert choose(rows, 5, seed=1) == choose(rows, 5, seed=1) != choose(rows, 5, seed=2)
    assert sorted(row.number for row in choose(rows, None, seed=1)) == [row.number for row in rows]


SPLIT_ROWS = [
    {"Q": f"What is disease {number} of the {place}?", "A": f"Answer {number}.", "set": split}
    for number, (place, split) in enumerate([("heart", "test"), ("liver", "dev"), ("skin", "Train"), ("lung", "train")])
]


@pytest.fixture
def prepared(home: Home) -> PreparedData:
    table = make_table(home, SPLIT_ROWS)
    return save(home, table, make_draft(table, mapping=ColumnMapping(question="Q", answer="A", split="set")), "ward")


def test_split_names_of_a_file_are_understood_and_an_empty_one_means_training(home: Home, tmp_path: Path) -> None:
    names = ["Train", "dev", "test", "", None]
    lines = [json.dumps({"question": "Why?", "answer": "So.", "split": name}) for name in names]
    rows = read_rows(write(tmp_path, "a.jsonl", "\n".join(lines)), home)
    assert [row.split for row in rows] == ["train", "validation", "test", "train", "train"]


def test_a_prepared_data_set_is_read_with_its_splits(home: Home, prepared: PreparedData) -> None:
    assert read_rows(DataConfig(path="prepared:ward"), home) == [
        Row(3, "What is disease 2 of the skin?", "Answer 2.", "train"),
        Row(4, "What is disease 3 of the lung?", "Answer 3.", "train"),
        Row(2, "What is disease 1 of the liver?", "Answer 1.", "validation"),
        Row(1, "What is disease 0 of the heart?", "Answer 0.", "test"),
    ]


def test_carried_columns_come_with_each_row_and_empty_cells_are_empty_texts(home: Home) -> None:
    records = [
        {"Q": f"What is disease {number} of the heart?", "A": "So.", "code": code, "ward": "7"}
        for number, code in enumerate(("I21", "", None, "I50"))
    ]
    table = make_table(home, records)
    columns = ColumnMapping(question="Q", answer="A", carried=("ward", "code"))
    save(home, table, make_draft(table, mapping=columns), "codes")
    carried = {row.number: row.carried for row in read_rows(DataConfig(path="prepared:codes"), home)}
    assert carried == {n: {"ward": "7", "code": code} for n, code in enumerate(("I21", "", "", "I50"), start=1)}


def test_a_plain_file_carries_all_its_further_columns(home: Home, tmp_path: Path) -> None:
    data = write(tmp_path, "a.csv", "Q,answer,split,type,code\nWhy?,So.,test,physiology,\nHow?,Thus.,,,I21\n")
    rows = read_rows(data.model_copy(update={"question": "Q"}), home)
    assert [row.carried for row in rows] == [{"type": "physiology", "code": ""}, {"type": "", "code": "I21"}]


def test_a_file_without_further_columns_carries_nothing(home: Home, tmp_path: Path) -> None:
    assert read_rows(write(tmp_path, "a.jsonl", ROW), home)[0].carried == {}


def test_the_sample_says_of_which_type_each_question_is(home: Home) -> None:
    assert {row.carried["type"] for row in read_rows(DataConfig(), home)} >= {"physiology", "drug_interaction"}


def test_rows_can_be_in_sets(home: Home) -> None:
    rows = read_rows(DataConfig(), home)
    assert len(set(rows)) == len(rows)


def test_a_prepared_data_set_that_is_not_there_or_has_changed_is_refused(home: Home, prepared: PreparedData) -> None:
    with pytest.raises(DataError, match=r"no prepared data set 'other'. There is: ward"):
        read_rows(DataConfig(path="prepared:other"), home)
    prepared.file("train").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"train\.parquet of ward has changed since it was saved"):
        read_rows(DataConfig(path="prepared:ward"), home)


def test_other_data_of_the_same_name_is_refused_by_its_fingerprint(home: Home, prepared: PreparedData) -> None:
    known = DataConfig(path="prepared:ward", fingerprint=fingerprint(DataConfig(path="prepared:ward"), home))
    assert len(read_rows(known, home)) == 4
    shutil.rmtree(prepared.folder)
    table = make_table(home, SPLIT_ROWS, "table-2")
    save(home, table, make_draft(table, mapping=ColumnMapping(question="Q", answer="A")), "ward")
    with pytest.raises(DataError, match="ward has changed since it was chosen for this run"):
        read_rows(known, home)


def test_a_file_that_has_changed_is_refused_by_its_fingerprint(home: Home, tmp_path: Path) -> None:
    data = write(tmp_path, "a.jsonl", ROW)
    known = data.model_copy(update={"fingerprint": fingerprint(data, home)})
    assert len(read_rows(known, home)) == 1
    write(tmp_path, "a.jsonl", ROW + "\n" + ROW)
    with pytest.raises(DataError, match=r"a\.jsonl has changed since it was chosen for this run"):
        read_rows(known, home)


def test_only_the_training_split_is_trained_on(home: Home, prepared: PreparedData) -> None:
    rows = read_rows(DataConfig(path="prepared:ward"), home)
    assert [row.number for row in training_rows(rows)] == [3, 4]
    with pytest.raises(DataError, match="All 2 rows are held out"):
        training_rows(rows[2:])
    refuse_held_out(training_rows(rows))
    for row in rows[2:]:
        with pytest.raises(DataError, match=f"Row {row.number} belongs to the {row.split} split, which is never"):
            refuse_held_out([rows[0], row])


def test_held_out_questions_are_of_the_test_split_else_of_validation(home: Home, prepared: PreparedData) -> None:
    rows = read_rows(DataConfig(path="prepared:ward"), home)
    assert [row.number for row in held_out_rows(rows)] == [1]
    assert [row.number for row in held_out_rows(rows[:3])] == [2]
    assert held_out_rows(rows[:2]) == []


@pytest.mark.parametrize("path", ["prepared:ward:test", "{folder}/test.parquet"])
def test_naming_the_test_split_as_training_data_is_refused(path: str, home: Home, prepared: PreparedData) -> None:
    with pytest.raises(DataError, match=r"The test split is never trained on: .* prepared:ward,"):
        read_rows(DataConfig(path=path.format(folder=prepared.folder)), home)
