"""Publishing on the Hub: through its real client, against a stand-in of its HTTP interface."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub.constants
import pytest

from core.config import with_changes
from core.errors import ConfigError, RunError, StorageError
from core.export import hub, hub_look, hub_upload
from core.export.hub_plan import PushRequest, make_plan, make_push_request
from core.export.hub_upload import upload
from core.export.manifest import file_entries
from core.export.parity_report import FormParity, ParityReport
from core.export.request import Form
from core.export.store import Export, writing_alone
from core.jobs import supervisor
from core.jobs.tasks import Task, TaskStopped, silent
from core.paths import Home, write_json
from core.runs.run import Run
from tests.build_export import compared_export, exportable_run, made_up_export
from tests.build_hub import ACCOUNT, TOKEN, FakeHub, Fault, HubRepository, serving_hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how the client streams files

NAME = f"{ACCOUNT}/triage"
FORMS: tuple[Form, ...] = ("adapter", "merged", "gguf_q8_0", "gguf_q4_k_m")


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's client as it is with a network, but without waiting between attempts and without Xet."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
    for name, value in {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serving_hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)  # for tasks
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", found.url)
        yield found
        found.faults.clear()
        found.released.set()
        for thread in threading.enumerate():
            if thread.name == hub_look.THREAD:  # left behind by a stop
                thread.join(30)


@pytest.fixture
def export(home: Home, tmp_path: Path) -> Export:
    """An export of several forms, with small files and files of some megabytes."""
    made = compared_export(home, exportable_run(home, tmp_path / "base"), FORMS)
    large = [made.file_of("gguf_q8_0"), made.file_of("gguf_q4_k_m"), made.form_folder("merged") / "model.safetensors"]
    for number, file in enumerate(large):
        grow(made, file, 3_000_000 + 1_000_000 * number)
    return made


def grow(export: Export, file: Path, size: int) -> None:
    """Make a file as large as that, of bytes that no other has, and write that down."""
    piece = hashlib.sha256(file.name.encode()).digest()
    file.write_bytes(piece * (size // len(piece)))
    export.keep_manifest(export.manifest().with_files(file_entries(export.folder, [file], silent)))


def request(export: Export, *forms: Form, **values: object) -> PushRequest:
    given = {"export": export.id, "repository": NAME, "forms": forms or export.request().forms, **values}
    return make_push_request(**given)


def push(export: Export, *forms: Form, **values: object) -> hub.PushRecord:
    return upload(make_plan(export, request(export, *forms, **values)), TOKEN)


def paths(export: Export, *forms: Form) -> set[str]:
    return {file.path for file in make_plan(export, request(export, *forms)).files}


def test_of_several_forms_the_merged_one_lies_where_programs_look_first(export: Export) -> None:
    planned = paths(export)
    assert {"config.json", "model.safetensors", "adapter/config.json", f"gguf/{export.slug}-q4_k_m.gguf"} <= planned


def test_only_the_chosen_quantisation_goes_with_what_is_for_all_and_for_itself(export: Export) -> None:
    beside = [export.form_folder("gguf_f16") / name for name in ("README.md", "Modelfile.q8_0", "Modelfile.q4_k_m")]
    for file in beside:
        file.write_text("made up")
    export.keep_manifest(export.manifest().with_files(file_entries(export.folder, beside, silent)))
    assert paths(export, "gguf_q4_k_m") == {f"{export.slug}-q4_k_m.gguf", "README.md", "Modelfile.q4_k_m"}


def test_what_the_parity_check_asked_and_the_notes_of_the_export_stay_here(export: Export) -> None:
    kept = [export.folder / "parity.json", export.folder / "request.json"]
    export.keep_manifest(export.manifest().with_files(file_entries(export.folder, kept, silent)))
    assert not {"parity.json", "request.json", "manifest.json"} & paths(export)


def test_a_form_that_is_not_made_is_refused(home: Home, tmp_path: Path) -> None:
    made = made_up_export(home, exportable_run(home, tmp_path / "base"), ("adapter",))
    with pytest.raises(RunError, match="GGUF f16 is not made yet"):
        make_plan(made, request(made, "adapter", "gguf_f16"))


def test_drift_is_published_only_after_somebody_has_acknowledged_it(export: Export) -> None:
    report = export.parity()
    assert report is not None
    export.keep_parity(report.model_copy(update={"drift": True}))
    with pytest.raises(RunError, match="answers differently"):
        make_plan(export, request(export))
    export.acknowledge()
    assert make_plan(export, request(export)).files


def test_an_export_is_refused_until_its_answers_have_been_compared(home: Home, tmp_path: Path) -> None:
    made = made_up_export(home, exportable_run(home, tmp_path / "base"), ("adapter",))
    with pytest.raises(RunError, match="have not been compared yet"):
        make_plan(made, request(made))
    made.keep_parity(ParityReport(forms=(FormParity(form="adapter"),)))
    assert make_plan(made, request(made)).files


def test_an_export_with_a_form_that_was_not_compared_or_not_described_is_refused(home: Home, tmp_path: Path) -> None:
    made = made_up_export(home, exportable_run(home, tmp_path / "base"), ("adapter", "merged"))
    made.keep_parity(ParityReport(forms=(FormParity(form="adapter"),)))
    with pytest.raises(RunError, match="have not been compared yet"):
        make_plan(made, request(made))
    made.keep_parity(ParityReport(forms=(FormParity(form="adapter"), FormParity(form="merged"))))
    made.keep_manifest(made.manifest().model_copy(update={"described": ("adapter",)}))
    with pytest.raises(RunError, match="not written for all of its forms"):
        make_plan(made, request(made))


def test_going_public_is_said_before(export: Export) -> None:
    assert make_plan(export, request(export, "merged", private=False)).warnings[0].startswith("Everybody")


def test_worked_examples_of_the_prompt_are_named_before_they_go(export: Export) -> None:
    run = Run(export.folder.parent.parent)
    examples = [{"question": "Q", "reasoning": "R", "answer": "A"}]
    write_json(run.config_file, with_changes(run.config(), {"prompt.examples": examples}).model_dump(mode="json"))
    modelfile = export.form_folder("gguf_q8_0") / "Modelfile.q8_0"
    modelfile.write_text("MESSAGE user Q")
    export.keep_manifest(export.manifest().with_files(file_entries(export.folder, [modelfile], silent)))
    for form, told in {"gguf_q8_0": "1 worked example would be sent in the", "merged": "would not be sent"}.items():
        found = make_plan(export, make_push_request(export=export.id, repository=NAME, forms=(form,))).warnings
        assert [sentence for sentence in found if told in sentence and "no patient" in sentence]


def test_quantisations_that_the_card_names_and_that_stay_here_are_told(export: Export) -> None:
    [told] = [text for text in make_plan(export, request(export, "gguf_q8_0")).warnings if "names GGUF q4_k_m" in text]
    assert "would not be sent" in told
    assert not [text for text in make_plan(export, request(export)).warnings if "names GGUF" in text]


def test_a_file_of_another_size_than_it_was_made_with_is_refused_before(export: Export) -> None:
    export.file_of("gguf_q8_0").write_bytes(b"GGUF")
    with pytest.raises(StorageError, match="has changed since it was made"):
        make_plan(export, request(export))


def test_a_file_that_has_changed_inside_is_not_sent(export: Export, there: FakeHub) -> None:
    file = export.file_of("gguf_q8_0")
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(StorageError, match="has changed since it was made"):
        push(export, "gguf_q8_0")
    assert (there.sent(), there.repositories[NAME].commits) == ([], [])


@pytest.mark.parametrize(
    "name", ["triage", "a/b/c", "../triage", "ward 7/triage", "ward-7/tri--age", "ward-7/x.git", ""]
)
def test_what_is_no_name_of_a_repository_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="repository"):
        make_push_request(export="e", repository=name, forms=("adapter",))


def test_an_upload_without_a_token_asks_for_one(home: Home, export: Export) -> None:
    with pytest.raises(ConfigError, match="set HF_TOKEN where"):
        hub.start_push(home, export, request(export), " ")


def test_a_token_that_is_none_is_not_repeated(home: Home, export: Export) -> None:
    with pytest.raises(ConfigError) as caught:
        hub.start_push(home, export, request(export), "hf_open\nsesame")
    assert "sesame" not in str(caught.value)


def test_a_repository_is_private_by_default_and_holds_what_was_planned(export: Export, there: FakeHub) -> None:
    record = push(export)
    repository = there.repositories[NAME]
    plan = make_plan(export, request(export))
    assert repository.private and len(repository.commits) == 1
    assert {path: file.size for path, file in repository.files.items()} == {f.path: f.bytes for f in plan.files}
    assert {f.oid for f in repository.files.values() if f.large} <= {f.sha256 for f in plan.files}
    assert (record.url, record.commit) == (f"{there.url}/{NAME}", repository.commits[0])


def test_a_repository_is_public_only_when_that_is_asked(export: Export, there: FakeHub) -> None:
    assert not push(export, "adapter", private=False).private
    assert not there.repositories[NAME].private


def test_several_quantisations_lie_in_one_repository(export: Export, there: FakeHub) -> None:
    push(export, "gguf_q8_0", "gguf_q4_k_m")
    assert set(there.repositories[NAME].files) == {f"{export.slug}-{form}.gguf" for form in ("q8_0", "q4_k_m")}


def test_the_same_again_sends_nothing(export: Export, there: FakeHub) -> None:
    first = push(export)
    there.requests.clear()
    again = push(export)
    assert not [made for made in there.requests if re.search("^PUT|/preupload/|/batch|/commit/", made)]
    assert again.commit == first.commit


def test_another_form_is_added_later_beside_the_first(export: Export, there: FakeHub) -> None:
    push(export, "gguf_q8_0")
    there.requests.clear()
    push(export, "gguf_q8_0", "gguf_q4_k_m")
    assert len(there.sent()) == 1 and len(there.repositories[NAME].files) == 2


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [("adapter", "merged", "adapter_config.json"), ("merged", "gguf_q8_0", "model.safetensors")],
)
def test_what_programs_would_load_instead_is_taken_away_and_told_before(
    first: Form, second: Form, taken: str, export: Export, there: FakeHub
) -> None:
    settings = export.form_folder("adapter") / "adapter_config.json"
    settings.write_text("{}")
    index = export.form_folder("adapter") / "model.safetensors.index.json"
    index.write_text("{}")
    export.keep_manifest(export.manifest().with_files(file_entries(export.folder, [settings, index], silent)))
    push(export, first)
    repository = there.repositories[NAME]
    assert taken in repository.files
    plan = make_plan(export, request(export, second))
    told = hub_look.dry_run(plan, TOKEN).removed
    before = set(repository.files)
    assert taken in told and told == hub_look.other_weights(hub_look.client_with(TOKEN), plan)
    upload(plan, TOKEN)
    assert set(repository.files) == (before - set(told)) | {file.path for file in plan.files}
    assert len(repository.commits) == 2


def test_quantisations_and_texts_that_lie_there_stay(export: Export, there: FakeHub) -> None:
    push(export, "gguf_q8_0")
    there.repositories[NAME].files["LICENSE"] = there.repositories[NAME].files[f"{export.slug}-q8_0.gguf"]
    push(export, "merged")
    assert {"LICENSE", f"{export.slug}-q8_0.gguf", "model.safetensors"} <= set(there.repositories[NAME].files)


def test_a_repository_that_this_export_was_sent_to_may_be_added_to(export: Export, there: FakeHub) -> None:
    assert not hub.may_add(export, request(export))
    push(export, "adapter")
    assert hub.may_add(export, request(export))
    assert not hub.may_add(export, request(export, repository=f"{ACCOUNT}/another"))


def test_large_files_are_sent_part_by_part(export: Export, there: FakeHub) -> None:
    grow(export, export.file_of("gguf_q8_0"), 40_000_000)
    plan = make_plan(export, request(export, "gguf_q8_0"))
    tracemalloc.start()
    upload(plan, TOKEN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(there.stored.values()) == plan.bytes >= 39_000_000
    assert peak < 20_000_000


def test_a_dry_run_says_what_would_go_and_changes_nothing(export: Export, there: FakeHub) -> None:
    plan = make_plan(export, request(export))
    found = hub_look.dry_run(plan, TOKEN)
    assert (found.account, found.exists, found.bytes) == (ACCOUNT, False, plan.bytes)
    assert there.repositories == {} and there.sent() == []


def test_a_dry_run_tells_what_is_there_already_and_what_would_be_replaced(export: Export, there: FakeHub) -> None:
    push(export, "merged")
    grow(export, export.form_folder("merged") / "model.safetensors", 6_000_000)
    plan = make_plan(export, request(export, "merged"))
    found = hub_look.dry_run(plan, TOKEN)
    assert found.exists and found.private
    assert set(found.there) == {"README.md", "config.json"}
    assert (found.replaced, found.bytes) == (("model.safetensors",), 6_000_000)


def test_a_dry_run_does_not_wait_for_ever(export: Export, there: FakeHub) -> None:
    there.faults.append(Fault("whoami", -1))
    with pytest.raises(RunError, match="has not answered"):
        hub_look.dry_run(make_plan(export, request(export)), TOKEN, seconds=0)


def test_a_connection_that_breaks_once_is_taken_up_by_the_client(export: Export, there: FakeHub) -> None:
    there.faults.append(Fault("^PUT ", 0, times=1))
    push(export, "gguf_q8_0")
    assert len(there.sent()) == 2 and len(there.repositories[NAME].files) == 1


def test_an_upload_that_broke_off_goes_on_without_sending_again_what_is_there(export: Export, there: FakeHub) -> None:
    plan = make_plan(export, request(export))
    arrives, breaks = (file.sha256 for file in plan.files[-3:-1])
    there.faults.append(Fault(f"^PUT .*{breaks}", 0))
    with pytest.raises(RunError, match=r"broke off\. Check this machine's network.*not sent again"):
        upload(plan, TOKEN)
    assert set(there.stored) == {arrives} and there.received[breaks] > 0
    assert there.repositories[NAME].files == {}, "nobody sees half an upload"

    there.faults.clear()
    there.requests.clear()
    upload(plan, TOKEN)
    assert there.sent() == [breaks, plan.files[-1].sha256]
    assert set(there.repositories[NAME].files) == {file.path for file in plan.files}


def test_a_repository_that_exists_is_refused_unless_that_is_allowed(export: Export, there: FakeHub) -> None:
    there.repositories[NAME] = HubRepository(private=True)
    with pytest.raises(RunError, match=f"There is a repository {NAME} .* already"):
        push(export, "adapter")
    assert there.repositories[NAME].files == {}
    push(export, "adapter", may_exist=True)
    assert "model.safetensors" in there.repositories[NAME].files


def test_a_token_that_may_only_write_to_what_is_there_is_enough_for_that(export: Export, there: FakeHub) -> None:
    there.repositories[NAME] = HubRepository(private=True)
    there.faults.append(Fault("repos/create", 403))
    push(export, "adapter", may_exist=True)
    assert "model.safetensors" in there.repositories[NAME].files


def test_nothing_private_goes_into_a_public_repository(export: Export, there: FakeHub) -> None:
    there.repositories[NAME] = HubRepository(private=False)
    with pytest.raises(RunError, match=f"{NAME} is public"):
        push(export, may_exist=True)
    assert (there.sent(), there.repositories[NAME].files) == ([], {})


@pytest.mark.parametrize(
    ("place", "status", "message"),
    [
        ("repos/create", 401, "does not know the token"),
        ("repos/create", 402, "wants to be paid for ward-7/triage"),
        ("repos/create", 403, "may not write to ward-7/triage"),
        ("repos/create", 404, "Check the spelling of ward-7"),
        ("preupload", 403, "may not write to ward-7/triage"),
        ("objects/batch", 413, "the largest file is 3.0 MB"),
        ("^PUT ", 413, "Choose a smaller form"),
        ("^PUT ", 500, "fault of its own"),
        ("/commit/", 404, "does not find ward-7/triage"),
        ("/commit/", 409, "changed by somebody else"),
        ("/commit/", 412, "changed by somebody else"),
        ("preupload", 429, "asked too often"),
        ("/commit/", 503, "a fault of its own .503.* a few minutes"),
        ("/commit/", 418, "refuses the upload to ward-7/triage .418.: No tea"),
    ],
)
def test_what_the_hub_refuses_is_said_with_the_remedy(
    place: str, status: int, message: str, export: Export, there: FakeHub
) -> None:
    there.faults.append(Fault(place, status, message="No tea" if status == 418 else ""))
    with pytest.raises(RunError, match=message):
        push(export, "gguf_q8_0")
    assert not there.repositories or there.repositories[NAME].files == {}


def test_a_model_card_that_the_hub_does_not_accept_is_said_with_its_words(export: Export, there: FakeHub) -> None:
    card = export.form_folder("adapter") / "README.md"
    card.write_text("---\nlicense: []\n---\n")
    export.keep_manifest(export.manifest().with_files(file_entries(export.folder, [card], silent)))
    with pytest.raises(RunError, match=r'head of the model card README\.md: - "license" must be a string'):
        push(export, "adapter")


def test_a_file_that_the_repository_keeps_out_is_missed(export: Export, there: FakeHub) -> None:
    there.ignored = ".safetensors"
    with pytest.raises(RunError, match=r"model\.safetensors did not arrive in ward-7/triage.*\.gitignore"):
        push(export, "merged")
    assert push_records_are_open(export)


def push_records_are_open(export: Export) -> bool:
    return [record.commit for record in hub.push_records(export)] == [""]


def test_a_token_that_the_hub_does_not_know_is_said(export: Export, there: FakeHub) -> None:
    with pytest.raises(RunError, match="does not know the token"):
        upload(make_plan(export, request(export)), "hf_another")
    assert there.repositories == {}


def test_a_hub_that_repeats_the_token_does_not_get_it_into_a_message(export: Export, there: FakeHub) -> None:
    there.faults.append(Fault("/commit/", 418, message=f"Is {TOKEN} yours?"))
    with pytest.raises(RunError, match=r"Is \*\*\* yours") as caught:
        push(export, "adapter")
    assert TOKEN not in str(caught.value)


def test_a_hub_that_cannot_be_reached_is_said(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RunError, match="broke off"):
        push(export)


def test_a_studio_that_must_stay_offline_says_so(
    export: Export, there: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RunError, match="HF_HUB_OFFLINE is set"):
        push(export)
    assert there.requests == []


def test_a_stop_does_not_wait_for_the_network(export: Export, there: FakeHub) -> None:
    there.faults.append(Fault("^PUT ", -1))

    def stop_when_it_hangs(phase: str, done: int, total: int) -> None:
        if there.reached.is_set():
            raise TaskStopped

    with pytest.raises(TaskStopped):
        upload(make_plan(export, request(export)), TOKEN, stop_when_it_hangs)
    assert there.repositories[NAME].commits == []


def test_an_export_that_is_being_written_is_not_uploaded(home: Home, export: Export, there: FakeHub) -> None:
    release = writing_alone(export)
    with pytest.raises(RunError, match="just now"):
        hub_upload.push_export(home, request(export).model_dump(mode="json"), silent)
    release()
    assert there.requests == []


def test_a_task_publishes_and_the_token_is_in_no_file(
    home: Home, export: Export, there: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "client"))
    task = hub.start_push(home, export, request(export), TOKEN)
    status = supervisor.wait(task, 60)
    assert (status.state, status.error) == ("finished", "")
    assert task.result()["url"] == f"{there.url}/{NAME}"
    assert [record.forms for record in hub.push_records(export)] == [FORMS]
    assert there.tokens == {f"Bearer {TOKEN}"}
    assert "HF_TOKEN" not in os.environ
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert task.log in files
    assert not [file for file in files if TOKEN.encode() in file.read_bytes()]


def hanging_push(home: Home, export: Export, there: FakeHub) -> Task:
    """A task whose last large file does not get through."""
    last = make_plan(export, request(export)).files[-1]
    there.faults.append(Fault(f"^PUT .*{last.sha256}", -1))
    task = hub.start_push(home, export, request(export), TOKEN)
    assert there.reached.wait(60)
    return task


def test_a_task_that_is_asked_to_stop_does_so_at_once(home: Home, export: Export, there: FakeHub) -> None:
    task = hanging_push(home, export, there)
    supervisor.stop(task)
    assert supervisor.wait(task, 30).state == "stopped"
    assert not there.released.is_set()


def test_a_task_that_was_killed_goes_on_where_it_was(home: Home, export: Export, there: FakeHub) -> None:
    task = hanging_push(home, export, there)
    process = task.process(task.status())
    assert process is not None
    process.kill()
    supervisor.wait(task, 30)
    assert there.repositories[NAME].files == {} and push_records_are_open(export)
    there.faults.clear()
    there.requests.clear()
    assert supervisor.wait(hub.start_push(home, export, request(export), TOKEN), 60).state == "finished"
    assert there.sent() == [make_plan(export, request(export)).files[-1].sha256]


def test_a_second_upload_waits_for_the_first(home: Home, export: Export, there: FakeHub) -> None:
    task = hanging_push(home, export, there)
    with pytest.raises(RunError, match="being uploaded just now"):
        hub.start_push(home, export, request(export), TOKEN)
    supervisor.stop(task)
    supervisor.wait(task, 30)


def test_a_task_that_fails_says_why_and_keeps_the_token_out_of_its_log(
    home: Home, export: Export, there: FakeHub
) -> None:
    there.faults.append(Fault("repos/create", 418, message=f"Is {TOKEN} yours?"))
    task = hub.start_push(home, export, request(export, "adapter"), TOKEN)
    status = supervisor.wait(task, 60)
    assert status.state == "failed" and "refuses the upload" in status.error
    assert TOKEN not in status.error + task.log.read_text()
