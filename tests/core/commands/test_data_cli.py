"""`python -m core data`: the way from a messy file to a prepared data set, and what is said on the way."""

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from core.commands.cli import main
from core.data import tables
from core.data.draft import DropRows, Mend, Redact, Resplit, StripReasoning
from core.data.findings import Finding, LengthReport, Lengths, Report
from core.data.prepared import find
from core.data.quality import KeptReport
from core.data.tables import Table
from core.paths import Home, write_json
from tests.build_tables import decide, make_draft, make_table

VERBS = ("import", "tables", "show", "map", "report", "mend", "prepare", "list")
MESSY = (
    "Frage;Antwort;Station\n"
    "What is sepsis, and how is it found?;<think>Fever.</think> Organ failure after infection.;A\n"
    "How is gout treated in a hurry?;With colchicine or steroids.;B\n"
    "How is gout treated in a hurry?;With colchicine or steroids.;B\n"
    "Which nerve does a wrist drop point to?;The radial nerve, café.;C\n"
    "What does a raised troponin mean?;Injury of the heart muscle.;C\n"
)


@pytest.fixture
def data(home: Home, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs one verb with --json and returns what it printed."""

    def run(*arguments: str) -> Any:
        assert main(["data", *arguments, "--json", "--home", str(home.root)]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


def refused(home: Home, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence with which a verb refuses."""
    assert main(["data", *arguments, "--home", str(home.root)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["data", verb, "--help"])
    assert ended.value.code == 0
    assert "--home DIR" in capsys.readouterr().out


def test_a_messy_file_becomes_a_prepared_data_set(home: Home, tmp_path: Path, tiny_models: Path, data: Any) -> None:
    file = tmp_path / "ward.csv"
    file.write_bytes(MESSY.encode("cp1252"))
    imported = data("import", str(file))
    assert imported["rows"] == 5
    assert (imported["draft"]["mapping"]["question"], imported["draft"]["mapping"]["answer"]) == ("Frage", "Antwort")
    model = str(tiny_models / "policy")
    data("map", "last", "--carry", "Station", "--model", model, "--validation", "0", "--test", "0")
    found = data("report", "last")["findings"]
    numbers = [str(number) for number, finding in enumerate(found, start=1) if finding["mend"]]
    changes = data("mend", "last", *numbers, "--preview")
    assert {(change["row"], change["after"]) for change in changes} >= {
        (1, "Organ failure after infection."),
        (3, None),
    }
    assert len(data("mend", "last", *numbers)["mends"]) == len(numbers) >= 2
    saved = data("prepare", "last", "--name", "ward")
    assert [part["rows"] for part in saved["parts"]] == [4, 0, 0]
    rows = find(home, "ward").rows("train").to_pylist()
    assert [row["answer"] for row in rows[:1]] == ["Organ failure after infection."]
    assert [row["Station"] for row in rows] == ["A", "B", "C", "C"]
    (listed,) = data("list")
    assert (listed["name"], listed["problem"], listed["fingerprint"]) == ("ward", "", saved["fingerprint"])


def keep_report(table: Table, *mends: Mend | None) -> None:
    """Keep a report of the table's present draft with one finding for each mend."""
    findings = tuple(
        Finding(kind="k", title="t", detail="d", severity="note", column=None, rows=(7, 9), mend=each) for each in mends
    )
    report = Report(
        rows=45,
        findings=findings,
        lengths=LengthReport(prompt=Lengths(), answer=Lengths()),
        languages={},
        suggested_max_prompt_length=64,
        prompt_length_reason="r",
        suggested_max_completion_length=64,
        completion_length_reason="r",
    )
    draft = table.draft()
    assert draft is not None
    write_json(table.folder / "report.json", KeptReport(draft=draft, report=report).model_dump(mode="json"))


@pytest.fixture
def table(home: Home) -> Table:
    """A table of 45 rows with a report of two findings, the second without a mend."""
    table = make_table(home, [{"question": f"Why {n}?", "answer": f"Because {n}.", "set": "a"} for n in range(45)])
    decide(table, make_draft(table))
    keep_report(table, DropRows(reason="empty", rows=(7, 9)), None)
    return table


def test_pages_and_search_of_a_table(table: Table, data: Any) -> None:
    assert [row["row"] for row in data("show", table.id, "--page", "3")["rows"]] == [41, 42, 43, 44, 45]
    found = data("show", table.id, "--search", "because 4")
    assert (found["count"], found["pages"]) == (6, 1)
    assert data("tables")[0]["rows"] == 45


def test_an_answer_is_begun_until_that_is_taken_back(table: Table, data: Any) -> None:
    assert data("map", table.id, "--prefill")["prompt"]["prefill"] is True
    assert data("map", table.id, "--prompt", "legal")["prompt"]["prefill"] is True
    assert data("map", table.id, "--no-prefill")["prompt"]["prefill"] is False


def test_options_change_only_what_they_name(home: Home, table: Table, data: Any, tmp_path: Path) -> None:
    system = tmp_path / "system.txt"
    system.write_text("Use <{reasoning}> and <{answer}>.\n")
    data("map", table.id, "--max-prompt-length", "99", "--system", str(system), "--answer-tag", "final")
    data("map", table.id, "--split", "set")
    draft = table.draft()
    assert draft is not None
    assert (draft.max_prompt_length, draft.mapping.split, draft.prompt.tags.answer) == (99, "set", "final")
    assert draft.prompt.system == "Use <{reasoning}> and <{answer}>."
    data("map", table.id, "--split", "", "--prompt", "legal")
    draft = table.draft()
    assert draft is not None
    assert (draft.mapping.split, draft.prompt.tags.answer) == (None, "final")
    assert draft.prompt.system.startswith("You are a careful lawyer")


def test_a_mend_is_applied_and_taken_back_but_a_preview_changes_nothing(table: Table, data: Any) -> None:
    before = table.draft()
    assert [change["row"] for change in data("mend", table.id, "1", "--preview")] == [7, 9]
    assert table.draft() == before
    assert data("mend", table.id, "1")["mends"][0]["rows"] == [7, 9]
    assert data("mend", table.id, "--undo")["mends"] == []
    assert table.draft() == before


def test_mends_are_previewed_one_behind_the_other_as_they_are_applied(home: Home, data: Any) -> None:
    made = make_table(home, [{"question": "Why?", "answer": "<think>Mr Smith.</think> Mr Jones."}])
    decide(made, make_draft(made))
    keep_report(made, StripReasoning(rows=(1,)), Redact(rows=(1,)))
    changes = data("mend", made.id, "1", "2", "--preview")
    assert [(change["before"], change["after"]) for change in changes] == [
        ("<think>Mr Smith.</think> Mr Jones.", "Mr Jones."),
        ("Mr Jones.", "Mr [NAME]."),
    ]


def test_a_mend_that_two_findings_share_is_applied_once(table: Table, data: Any) -> None:
    keep_report(table, Redact(rows=(1,)), Redact(rows=(1,)))
    assert data("mend", table.id, "1", "2", "2")["mends"] == [{"kind": "redact", "rows": [1]}]


def test_a_finding_of_an_older_draft_is_refused(
    home: Home, table: Table, data: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    data("map", table.id, "--answer", "set")
    for more in ([], ["--preview"]):
        said = refused(home, capsys, "mend", table.id, "1", *more)
        assert "The report was made before" in said and f"python -m core data report {table.id}" in said
    draft = table.draft()
    assert draft is not None and draft.mends == ()


def test_other_columns_take_the_mends_of_their_texts_away(
    home: Home, table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    mends = (DropRows(reason="x", rows=(7,)), StripReasoning(rows=(1,)), Resplit(), Redact(rows=(1,)))
    decide(table, make_draft(table, mends=mends))
    for arguments, left in ((["--carry", "set"], mends), (["--answer", "set"], (Resplit(),))):
        assert main(["data", "map", table.id, *arguments[-2:], "--home", str(home.root)]) == 0, capsys.readouterr().err
        draft = table.draft()
        assert draft is not None and draft.mends == left
        dropped = "3 mend(s) were for the texts of other columns and are dropped" in capsys.readouterr().out
        assert dropped == (left != mends)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "/no/such/file.csv"], "/no/such/file.csv"),
        (["import", "hub:a b"], "This source cannot be used"),
        (["show", "table-1", "--page", "0"], "--page is 0"),
        (["show", "../x"], "There is no table '../x'"),
        (["map", "table-1", "--question", "Frage"], "ward.csv has no column 'Frage'"),
        (["map", "table-1", "--max-prompt-length", "3"], "max_prompt_length is 3"),
        (["map", "table-1", "--answer-tag", "a b"], "the tag name 'a b'"),
        (["map", "table-1", "--system", "/no/such/prompt.txt"], "prompt.txt cannot be read (No such file or"),
        (["mend", "table-1", "2"], "Finding 2 has no mend"),
        (["mend", "table-1", "3"], "There is no finding 3"),
        (["mend", "table-1", "1", "--preview", "--undo"], "Give one or the other"),
        (["prepare", "table-1", "--name", "../../etc/x"], "the name of the data set is '../../etc/x'"),
        (["prepare", "table-1", "--name", "sample"], "Choose another name"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_and_exit_code_two(
    arguments: list[str], message: str, home: Home, table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(home, capsys, *arguments)


def test_a_prompt_without_the_tags_is_refused_and_the_draft_kept(
    home: Home, table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system = tmp_path / "system.txt"
    system.write_text("Answer briefly.")
    before = table.draft()
    assert "never mentions <reasoning> or <answer>" in refused(home, capsys, "map", table.id, "--system", str(system))
    assert table.draft() == before


def test_last_names_the_newest_table(home: Home, capsys: pytest.CaptureFixture[str], data: Any) -> None:
    assert "There are no tables yet" in refused(home, capsys, "show", "last")
    make_table(home, [{"question": "Why?", "answer": "So."}])
    assert data("show", "last")["table"] == "table-1"


def test_a_prompts_file_is_read_before_others_have_to_wait(
    home: Home, table: Table, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_LOCK_SECONDS", 0.0)
    with FileLock(table.folder / "draft.lock"):
        said = refused(home, capsys, "map", table.id, "--system", "/no/such/prompt.txt")
    assert "prompt.txt cannot be read" in said


def test_text_of_a_table_cannot_steer_the_terminal(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    make_table(home, [{"question": "Why\x1b[31m\nred?", "answer": None}])
    assert main(["data", "show", "last", "--home", str(home.root)]) == 0
    printed = capsys.readouterr().out
    assert "question: Why[31m red?" in printed and "answer: (empty)" in printed
