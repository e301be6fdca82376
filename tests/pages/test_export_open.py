"""An export that is open: its files, how they answer, how they are run, and where they are published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import RunError
from core.export import task as export_tasks
from core.export.hub import PushRecord, keep_record
from core.export.hub_look import DryRun
from core.export.manifest import file_entries
from core.export.request import Form
from core.export.store import Export, list_exports
from core.jobs import supervisor
from core.jobs.folder import Status
from core.jobs.tasks import Task, create_task, silent
from core.paths import Home
from core.runs.run import Run
from studio import downloads, export_hub
from tests.build_compare_page import Open, sent
from tests.build_export import exportable_run, made_up_export, new_export
from tests.build_export_page import QUESTIONS, drifted, export_page, faultless
from tests.build_runs import HOSTILE

TOKEN = "hf_notarealtoken1234"
FORMS: tuple[Form, ...] = ("adapter", "merged", "gguf_f16", "gguf_q4_k_m")


@pytest.fixture
def run(home: Home, tmp_path: Path) -> Run:
    return exportable_run(home, tmp_path / "base")


@pytest.fixture
def export(home: Home, run: Run) -> Export:
    """One whose forms are made and answer as trained."""
    made = made_up_export(home, run, FORMS, title="Ward 7")
    made.keep_parity(faultless(FORMS))
    return made


@pytest.fixture
def opened(overview: Callable[[], AppTest]) -> Open:
    """Opens the page on an export."""
    return lambda export, view="files": export_page(overview(), export=export.id, view=view)


def links(at: AppTest) -> list[str]:
    """Where the download buttons lead."""
    return [element.proto.url for element in at.get("link_button")]


def offered(at: AppTest) -> list[tuple[str, str]]:
    """Which files of the export the buttons download, and in which form."""
    signed = [link.rpartition("/")[2] for link in links(at) if "/downloads/" in link]
    found = [downloads.Download.model_validate(downloads._SIGNED.loads(one)) for one in signed]
    return [(one.path, one.form) for one in found]


def test_each_form_shows_how_it_answers_its_hash_and_a_download(opened: Open, export: Export) -> None:
    at = opened(export)
    shown = [code.value for code in at.code]
    assert export.manifest().under(f"gguf/{export.file_of('gguf_f16').name}")[0].sha256 in shown
    assert len(shown) == len(FORMS)
    for form in ("gguf_f16", "gguf_q4_k_m"):
        assert (f"gguf/{export.file_of(form).name}", "file") in offered(at)
    assert (".", "zip") in offered(at)
    assert sent(at).count("Answers as trained") == len(FORMS)


def test_a_form_that_is_not_made_has_no_download_and_can_be_gone_on_with(opened: Open, home: Home, run: Run) -> None:
    at = opened(new_export(home, run, FORMS))
    assert not links(at) and not at.code
    assert "Still missing: LoRA adapter, Merged, 16 bits" in sent(at)
    assert at.button(key="export.resume")


def test_an_export_without_its_cards_can_be_gone_on_with(opened: Open, export: Export) -> None:
    assert "Still missing" not in sent(opened(export))
    export.keep_manifest(export.manifest().model_copy(update={"described": ()}))
    assert "Still missing: Model card and commands" in sent(opened(export))


def test_going_on_starts_the_task_again(opened: Open, home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    export = new_export(home, run, FORMS)
    begun: list[str] = []
    monkeypatch.setattr("studio.export_progress.start_export", lambda home, found: begun.append(found.id))
    opened(export).button(key="export.resume").click().run()
    assert begun == [export.id]


def test_an_export_under_way_shows_its_phase_and_can_be_stopped(opened: Open, home: Home, run: Run) -> None:
    export = new_export(home, run, FORMS)
    task = create_task(home, export_tasks.KIND, {"run": run.id, "export": export.id})
    task.write_status(Status("starting", phase="merging", done=1, total=4, updated=task.written_status().updated))
    at = opened(export)
    assert "Merging, 25%" in [bar.proto.text for bar in at.get("progress")]
    assert "0 of 4 forms are made" in sent(at)
    at.button(key="export.stop").click().run()
    assert task.stop_request.exists()


def test_a_failed_export_says_why_and_shows_its_log(opened: Open, home: Home, run: Run) -> None:
    export = new_export(home, run, FORMS)
    task = create_task(home, export_tasks.KIND, {"run": run.id, "export": export.id})
    task.log.write_text(f"it began\n{HOSTILE}\n")
    task.write_status(Status("failed", error="The disk is full."))
    at = opened(export)
    assert "The disk is full" in sent(at)
    assert any(HOSTILE in code.value for code in at.code)


def test_a_deletion_asks_first_and_then_removes_the_files(opened: Open, home: Home, export: Export) -> None:
    at = opened(export)
    at.button(key="export.delete").click().run()
    assert export.folder.is_dir()
    at.button(key="export.delete").click()  # the driver runs the whole page, so what opened the question is held down
    at.button(key="export.delete.yes").click().run()
    assert not at.exception and not export.folder.exists() and list_exports(home) == []


def test_an_export_that_is_gone_says_so(overview: Callable[[], AppTest], run: Run) -> None:
    at = export_page(overview(), export="export-20260101-000000-abcdef")
    assert "There is no export" in sent(at)


def test_forms_that_answer_as_trained_are_said_to(opened: Open, export: Export) -> None:
    at = opened(export, "answers")
    assert [box.value for box in at.success] == ["On 2 questions all forms answer as the model that was trained."]
    (table,) = at.dataframe
    assert list(table.value["Same prompt"]) == ["–", "2 of 2", "2 of 2", "2 of 2", "2 of 2"]


def test_answers_are_shown_side_by_side_as_text(opened: Open, export: Export) -> None:
    at = opened(export, "answers")
    at.selectbox(key="export.question").select_index(1).run()
    assert QUESTIONS[1] in [text.value for text in at.text]
    assert HOSTILE in [text.value for text in at.text]
    assert not [mark for mark in at.markdown if "onerror" in mark.value and "\\<img" not in mark.value]


def test_drift_blocks_publishing_until_it_is_acknowledged(opened: Open, home: Home, run: Run) -> None:
    export = made_up_export(home, run, FORMS)
    export.keep_parity(drifted(FORMS))
    at = opened(export, "publish")
    assert "answers differently from the adapter" in sent(at)
    assert not at.text_input
    at.button(key="export.hub.answers").click().run()
    assert any("is not the model that was trained" in box.value for box in at.error)
    at.button(key="export.acknowledge").click().run()
    assert not at.exception and export.acknowledged and not at.error
    at.button_group(key="export.view").set_value("publish").run()
    at.text_input(key="export.hub.repository").set_value("ward-7/model").run()
    assert at.button(key="export.hub.publish")


def test_a_comparison_that_has_changed_since_it_was_shown_is_not_acknowledged(
    opened: Open, home: Home, run: Run
) -> None:
    export = made_up_export(home, run, FORMS)
    export.keep_parity(drifted(FORMS))
    at = opened(export, "answers")
    export.keep_parity(drifted(FORMS[1:]))
    at.button(key="export.acknowledge").click().run()
    assert not at.exception and not export.acknowledged and "compared again since" in sent(at)


def test_an_export_that_is_not_compared_yet_says_that_nobody_knows(opened: Open, home: Home, run: Run) -> None:
    at = opened(made_up_export(home, run, FORMS), "answers")
    assert "nobody knows whether the files answer" in sent(at)


def test_commands_modelfile_system_prompt_and_card_can_be_copied(opened: Open, export: Export) -> None:
    texts = {
        export.folder / "gguf" / "Modelfile.q4_k_m": "FROM ./ward-7-q4_k_m.gguf\n",
        export.folder / "gguf" / "SYSTEM.txt": "You answer clinicians.",
        export.folder / "gguf" / "README.md": f"# Card\n{HOSTILE}\n",
    }
    for file, text in texts.items():
        file.write_text(text)
    entries = file_entries(export.folder, list(texts), silent)
    export.keep_manifest(export.manifest().with_files(entries))
    at = opened(export, "use")
    at.button_group(key=f"export.card.{export.id}").set_value("gguf").run()
    shown = [code.value for code in at.code]
    assert set(map(str.strip, texts.values())) <= set(map(str.strip, shown))
    assert any(text.startswith("llama-cli -m gguf/ward-7-q4_k_m.gguf") for text in shown)


class Pushed:
    """What was asked of the task that publishes, and with which secrets."""

    def __init__(self) -> None:
        self.arguments: list[Any] = []
        self.secrets: list[Any] = []

    def start(self, home: Home, kind: str, arguments: Any, secrets: Any = None) -> Task:
        self.arguments.append(arguments)
        self.secrets.append(secrets)
        return create_task(home, kind, arguments)


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> Pushed:
    found = Pushed()
    monkeypatch.setattr(supervisor, "start_task", found.start)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return found


def filled(opened: Open, export: Export, token: str = TOKEN) -> AppTest:
    """The form with repository and token."""
    at = opened(export, "publish")
    at.text_input(key="export.hub.repository").set_value("ward-7/model").run()
    at.text_input(key="export.hub.token").set_value(token).run()
    return at


def test_publishing_is_private_and_hands_the_token_to_the_upload_alone(
    opened: Open, home: Home, export: Export, pushed: Pushed
) -> None:
    at = filled(opened, export)
    at.button(key="export.hub.publish").click().run()
    assert not at.exception
    (asked,) = pushed.arguments
    assert asked["repository"] == "ward-7/model" and asked["private"] and not asked["may_exist"]
    assert tuple(asked["forms"]) == FORMS
    assert pushed.secrets == [{"HF_TOKEN": TOKEN}] and TOKEN not in str(asked)
    assert not [file for file in home.root.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]


def test_the_token_field_is_a_password_and_empty_after_the_start(opened: Open, export: Export, pushed: Pushed) -> None:
    at = filled(opened, export)
    field = at.text_input(key="export.hub.token")
    assert field.proto.type == field.proto.PASSWORD
    at.button(key="export.hub.publish").click().run()
    assert TOKEN not in sent(at) and at.session_state["export.hub.token"] == ""


def test_without_a_token_publishing_says_what_to_do(opened: Open, export: Export, pushed: Pushed) -> None:
    at = filled(opened, export, token="")
    at.button(key="export.hub.publish").click().run()
    assert not at.exception and not pushed.arguments
    assert "Enter one that may write" in sent(at)


def test_what_would_go_is_listed_with_bytes_and_hashes(opened: Open, export: Export, pushed: Pushed) -> None:
    at = filled(opened, export)
    (table,) = at.dataframe
    assert "adapter/model.safetensors" in list(table.value["File"])
    at.toggle(key="export.hub.private").set_value(False).run()
    assert "Everybody will be able to see" in sent(at)


def test_a_dry_run_tells_what_the_hub_would_find_and_starts_nothing(
    opened: Open, export: Export, pushed: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_hub, "dry_run", lambda plan, token: DryRun("ward-7", True, True, ("a",), (), 1_000_000))
    at = filled(opened, export)
    at.button(key="export.hub.dry").click().run()
    assert "Signed in as ward\\-7" in sent(at) and "Publishing is refused unless" in sent(at)
    assert not pushed.arguments


def test_a_dry_run_says_what_would_be_taken_away_and_refuses_no_repository_it_went_to_before(
    opened: Open, export: Export, pushed: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_record(export, PushRecord(repository="ward-7/model", private=True, url="https://hub/ward-7/model"))
    found = DryRun("ward-7", True, True, (), (), 1_000_000, ("adapter_config.json",))
    monkeypatch.setattr(export_hub, "dry_run", lambda plan, token: found)
    at = filled(opened, export)
    at.button(key="export.hub.dry").click().run()
    told = sent(at).replace("\\", "")
    assert "adapter_config.json would be taken away" in told and "Publishing is refused" not in told


def test_a_hub_that_refuses_is_quoted_in_a_sentence(
    opened: Open, export: Export, pushed: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(plan: Any, token: str) -> DryRun:
        raise RunError("The Hub does not know this token.")

    monkeypatch.setattr(export_hub, "dry_run", refuse)
    at = filled(opened, export)
    at.button(key="export.hub.dry").click().run()
    assert not at.exception and "The Hub does not know this token" in sent(at)


@pytest.mark.parametrize("repository", ["model", "a/b/c", "../x", "-/-"])
def test_a_name_that_is_no_repository_is_refused_at_once(opened: Open, export: Export, repository: str) -> None:
    at = opened(export, "publish")
    at.text_input(key="export.hub.repository").set_value(repository).run()
    assert not at.exception and "must be owner/name" in sent(at).replace("\\", "")
