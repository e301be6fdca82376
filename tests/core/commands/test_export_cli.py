"""`python -m core export`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.commands.cli import main
from core.export.parity_report import FormParity, ParityFinding, ParityReport
from core.export.store import list_exports
from core.paths import Home
from tests.build_export import ALL, compared_export, exportable_run, made_up_export, tiny_run


def test_a_form_is_made_and_told(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(home, tmp_path / "tiny")
    command = ["export", run.id, "--form", "gguf_q8_0", "--questions", "1", "--json", "--home", str(home.root)]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    [made] = list_exports(home)
    assert (told["export"], told["missing"], list(told["forms"])) == (made.id, [], ["gguf_q8_0"])
    assert [found["form"] for found in told["parity"]["forms"]] == ["gguf_q8_0"]
    assert made.file_of("gguf_q8_0").stat().st_size == told["forms"]["gguf_q8_0"]["bytes"] > 0
    assert main(["export", "--resume", made.id, "--home", str(home.root)]) == 0
    assert "GGUF q8_0" in capsys.readouterr().out


def test_exports_are_listed_and_removed(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = made_up_export(home, exportable_run(home, tmp_path / "base"))
    assert main(["export", "--list", "--home", str(home.root)]) == 0
    assert made.id in capsys.readouterr().out
    assert main(["export", "--delete", "last", "--home", str(home.root)]) == 2 and list_exports(home)
    assert main(["export", "--delete", made.id, "--home", str(home.root)]) == 0
    assert list_exports(home) == []


def test_a_checkpoint_that_is_not_there_is_refused(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = exportable_run(home, tmp_path / "base")
    assert main(["export", f"{run.id}@7", "--home", str(home.root)]) == 2
    assert "no checkpoint of step 7" in capsys.readouterr().err


def test_publishing_without_a_token_is_refused_before_anything_is_made(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_TOKEN", raising=False)
    run = exportable_run(home, tmp_path / "base")
    command = ["export", run.id, "--push", "ward/model", "--token-env", "MY_TOKEN", "--home", str(home.root)]
    assert main(command) == 2
    assert "MY_TOKEN is empty" in capsys.readouterr().err and list_exports(home) == []


def test_drift_keeps_an_export_from_being_published(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "hf_abcdefghij")
    made = made_up_export(home, exportable_run(home, tmp_path / "base"))
    made.keep_parity(drift())
    command = ["export", "--resume", made.id, "--push", "ward/model", "--token-env", "MY_TOKEN"]
    assert main([*command, "--home", str(home.root)]) == 2
    told = capsys.readouterr()
    assert "drift" in told.err.lower() or "differ" in told.err.lower()
    assert not made.acknowledged and "hf_abcdefghij" not in told.out + told.err
    assert "It is another model." in told.out, "what was found is told although nothing is published"


def test_drift_that_was_found_by_the_same_command_is_not_acknowledged_unread(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghij")
    made = made_up_export(home, exportable_run(home, tmp_path / "base"))
    monkeypatch.setattr("core.commands.export._finish", lambda home, found: found.keep_parity(drift()))
    monkeypatch.setattr("core.commands.export.start_push", lambda *arguments: None)
    monkeypatch.setattr("core.commands.export.follow_task", lambda task: None)
    command = ["export", "--resume", made.id, "--push", "ward/model", "--acknowledge-drift", "--home", str(home.root)]
    assert main(command) == 2
    told = capsys.readouterr()
    assert "compared only now" in told.err and "It is another model." in told.out and not made.acknowledged
    assert main(command) == 0 and made.acknowledged


def test_what_only_a_new_export_can_have_is_refused_with_one_that_is_there(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = compared_export(home, exportable_run(home, tmp_path / "base"))
    command = ["export", "--resume", made.id, "--form", "merged", "--questions", "3", "--home", str(home.root)]
    assert main(command) == 2
    assert "--form, --questions can only be given to a new export" in capsys.readouterr().err


def drift() -> ParityReport:
    """A report on a form that answers differently."""
    finding = ParityFinding(form="merged", kind="divergence", severity="drift", sentence="It is another model.")
    return ParityReport(drift=True, forms=tuple(FormParity(form=form) for form in ALL), findings=(finding,))
