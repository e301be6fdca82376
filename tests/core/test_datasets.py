from pathlib import Path

import pytest

from core.config import DataConfig
from core.datasets import choose, read_rows
from core.errors import DataError

ROW = '{"question": "Why?", "answer": "Because."}'


def write(folder: Path, name: str, content: str | bytes) -> DataConfig:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return DataConfig(path=str(path))


def test_the_sample_data_is_what_it_says() -> None:
    rows = read_rows(DataConfig())
    test = [row for row in rows if row.split == "test"]
    assert len(rows) >= 320
    assert len(test) == 100
    assert len({row.question for row in rows}) == len(rows)
    assert all(len(row.answer.split()) <= 45 for row in rows)


def test_jsonl_and_csv_give_the_same_rows(tmp_path: Path) -> None:
    jsonl = write(tmp_path, "a.jsonl", ROW + "\n\n" + ROW + "\n")
    table = write(tmp_path, "a.csv", "\ufeffquestion,answer\nWhy?,Because.\nWhy?,Because.\n")
    assert [(r.question, r.answer) for r in read_rows(jsonl)] == [("Why?", "Because.")] * 2
    assert [(r.question, r.answer) for r in read_rows(table)] == [("Why?", "Because.")] * 2


def test_columns_can_have_other_names(tmp_path: Path) -> None:
    data = write(tmp_path, "a.jsonl", '{"Q": "Why?", "A": 3}')
    assert read_rows(data.model_copy(update={"question": "Q", "answer": "A"}))[0].answer == "3"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "holds no rows"),
        ("a.jsonl", "\n \n", "holds no rows"),
        ("a.jsonl", (ROW + "\n") * 16 + '{"question": "Wh\n', "Line 17 of a.jsonl is not valid JSON"),
        ("a.jsonl", ROW + "\n[1]", "Line 2 of a.jsonl is not a JSON object but a list"),
        ("a.jsonl", ROW + '\n{"question": "Why?"}', "Line 2 of a.jsonl has no column 'answer'"),
        ("a.jsonl", ROW + '\n{"question": "Why?", "answer": " "}', "have an empty 'answer': line 2"),
        ("a.jsonl", '{"question": null, "answer": "x"}', "have an empty 'question': line 1"),
        ("a.jsonl", ROW.encode() + b"\n\xff\xfe", "Line 2 of a.jsonl is not UTF-8"),
        ("a.csv", "question,answer\nWhy?,Because, really.\n", "another number of cells"),
        ("a.csv", 'question,answer\nWhy?,"Because\n', "is not valid CSV"),
        ("a.csv", "question;answer\nWhy?;Because\n", "has no column 'question'"),
        ("a.xml", "<a/>", "save the data as .jsonl or .csv"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(write(tmp_path, name, content))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no data file"):
        read_rows(DataConfig(path=str(tmp_path / "none.jsonl")))
    with pytest.raises(DataError, match="is a folder"):
        read_rows(DataConfig(path=str(tmp_path)))


def test_rows_are_chosen_by_the_seed_alone() -> None:
    rows = read_rows(DataConfig())
    assert choose(rows, 5, seed=1) == choose(rows, 5, seed=1) != choose(rows, 5, seed=2)
    assert sorted(row.number for row in choose(rows, None, seed=1)) == [row.number for row in rows]
