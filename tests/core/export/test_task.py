"""The task that exports: what it makes in which order, and what it leaves after a stop, a kill or a fault."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.config import RunConfig, with_changes
from core.engine.export import task
from core.engine.export.llama_tools import LlamaTool
from core.engine.export.task import export_model
from core.errors import ModelError, RunError, StorageError
from core.export import companions
from core.export.manifest import sha256_of
from core.export.parity_report import FormParity, ParityReport
from core.export.request import OWN_GGUF_FORMS, Form
from core.export.store import Export, writing_alone
from core.export.task import export_task, task_arguments
from core.jobs.folder import Status
from core.jobs.tasks import KINDS, TaskStopped, create_task, silent
from core.paths import Home
from core.runs.run import Run
from core.serving.adapter_files import WEIGHTS
from tests.build_export import ALL, made_up_export, new_export, save_tiny_adapter, tiny_run

Act = Callable[[], object]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import save_policy

    return save_policy(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def run(home: Home, base: Path) -> Run:
    return tiny_run(home, base)


class Makers:
    """Stands in for what makes forms: quick, and to be broken at will.

    Attributes:
        made: what was made, in its order, with what it was made of.
        acts: what happens in the middle of making a form, by what it is called.
        adapters: the SHA-256 of the weights that each form was made of that is made of an adapter, and compared with.
        converter: the program that made GGUF f16; empty for the studio's own code.
    """

    def __init__(self) -> None:
        self.made: list[str] = []
        self.acts: dict[str, Act] = {}
        self.adapters: list[str] = []
        self.converter = ""

    def folder(self, name: str, target: Path) -> None:
        target.mkdir()
        (target / "config.json").write_text("{}")
        self.acts.get(name, str)()
        (target / "model.safetensors").write_text(name)
        self.made.append(name)

    def file(self, name: str, source: Path, target: Path) -> None:
        assert source.exists()
        target.write_text("half")
        self.acts.get(name, str)()
        target.write_text(f"{name} whole")
        self.made.append(name)

    def converted(self, source: Path, target: Path) -> str:
        self.file("gguf_f16", source, target)
        return self.converter

    def parity(self, home: Home, export: Export, forms: Sequence[Form], tell: object, *, adapter: Path) -> ParityReport:
        self.acts.get("parity", str)()
        self.adapters.append(sha256_of(adapter / WEIGHTS))
        self.made.append("parity of " + " ".join(forms))
        return ParityReport(forms=tuple(FormParity(form=form) for form in forms))

    def of_adapter(self, name: str, adapter: Path, target: Path) -> None:
        self.adapters.append(sha256_of(adapter / WEIGHTS))
        self.folder(name, target)


@pytest.fixture
def makers(monkeypatch: pytest.MonkeyPatch) -> Makers:
    found = Makers()
    monkeypatch.setattr(
        task, "adapter_copy", lambda base, adapter, target, tell, **_: found.of_adapter("adapter", adapter, target)
    )
    monkeypatch.setattr(task, "merge", lambda base, adapter, target, tell: found.of_adapter("merged", adapter, target))
    monkeypatch.setattr(task, "merged_4bit", lambda merged, target, tell: found.folder("merged_4bit", target))
    monkeypatch.setattr(task, "convert", lambda merged, target, tell, **_: found.converted(merged, target))
    monkeypatch.setattr(task, "quantise", lambda f16, target, form, tell: found.file(form, f16, target))
    monkeypatch.setattr(task, "parity", found.parity)
    return found


def do(home: Home, export: Export) -> Mapping[str, Any]:
    return export_model(home, {"run": export.run_id, "export": export.id}, silent)


def parts(export: Export) -> Iterator[Path]:
    return export.folder.rglob(".part-*")


def raises(error: Exception) -> Act:
    def act() -> None:
        raise error

    return act


def test_the_task_is_known_to_jobs() -> None:
    assert KINDS["export_model"] == f"{export_model.__module__}:{export_model.__name__}"


def test_each_form_is_made_once_and_then_compared(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ALL)
    assert do(home, export)["forms"] == list(ALL)
    assert makers.made == [*ALL, f"parity of {' '.join(ALL)}"]
    assert export.whole and not list(parts(export))


def test_what_is_only_needed_on_the_way_is_not_kept(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ["gguf_q8_0", "gguf_q4_k_m"])
    seen: list[bool] = []
    makers.acts["gguf_q4_k_m"] = lambda: seen.append(any("merged" in part.name for part in parts(export)))
    do(home, export)
    assert makers.made[:-1] == ["merged", "gguf_f16", "gguf_q8_0", "gguf_q4_k_m"]
    assert seen == [False], "merged weights were kept while nothing was made of them any more"
    assert not export.form_folder("merged").exists() and not export.file_of("gguf_f16").exists()
    assert not list(parts(export))


def test_the_manifest_holds_every_file_that_is_published(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ["merged", "gguf_q8_0"])
    do(home, export)
    manifest = export.manifest()
    assert {entry.path for entry in manifest.files} == {
        "COMMANDS.md",
        *(f"merged/{name}" for name in ("README.md", "SYSTEM.txt", "config.json", "model.safetensors")),
        *(f"gguf/{name}" for name in ("README.md", "SYSTEM.txt", "Modelfile.q8_0", export.file_of("gguf_q8_0").name)),
    }
    for entry in manifest.files:
        assert sha256_of(export.folder / entry.path) == entry.sha256
    assert manifest.adapter_sha256 == sha256_of(run.adapter / "adapter_model.safetensors")


@pytest.mark.parametrize("form", ["merged", "gguf_f16", "gguf_q5_k_m"])
def test_after_a_stop_only_what_is_missing_is_made(home: Home, run: Run, makers: Makers, form: Form) -> None:
    export = new_export(home, run, ALL)
    makers.acts[form] = raises(TaskStopped())
    with pytest.raises(TaskStopped):
        do(home, export)
    assert not export.place_of(form).exists() and not list(parts(export))
    done = list(makers.made)
    makers.acts.clear()
    do(home, export)
    assert makers.made == [*ALL, f"parity of {' '.join(ALL)}"], f"made before the stop: {done}"


def test_what_a_kill_has_left_half_written_is_removed(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ["merged", "gguf_f16"])
    (export.folder / ".part-merged").mkdir()
    (export.folder / ".part-merged" / "model.safetensors").write_text("half")
    (export.folder / "gguf").mkdir()
    (export.folder / "gguf" / ".part-x.gguf").write_text("half")
    do(home, export)
    assert (export.form_folder("merged") / "model.safetensors").read_text() == "merged"
    assert not list(parts(export))


def test_a_form_that_was_renamed_before_a_kill_is_not_made_again(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ["merged"])
    makers.folder("merged", export.form_folder("merged"))
    do(home, export)
    assert makers.made[:-1] == ["merged"] and export.made == ("merged",)


def test_a_stop_before_the_comparison_leaves_it_to_the_next_round(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ["merged"])
    makers.acts["parity"] = raises(TaskStopped())
    with pytest.raises(TaskStopped):
        do(home, export)
    makers.acts.clear()
    do(home, export)
    do(home, export)
    assert makers.made == ["merged", "parity of merged"]


def test_a_form_that_cannot_be_made_does_not_keep_others_back(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ALL)
    makers.acts["gguf_f16"] = raises(ModelError("No converter knows it."))
    with pytest.raises(RunError, match=r"^GGUF f16, GGUF q8_0, GGUF q5_k_m, GGUF q4_k_m: No converter knows it\.$"):
        do(home, export)
    assert export.made == ("adapter", "merged")
    assert (export.form_folder("merged") / "README.md").is_file() and not list(parts(export))


def test_a_full_disk_ends_it_at_once_and_leaves_no_half_file(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ALL)
    makers.acts["gguf_f16"] = raises(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(StorageError, match="is full"):
        do(home, export)
    assert makers.made == ["adapter", "merged"] and not list(parts(export))
    makers.acts.clear()
    do(home, export)
    assert export.missing == ()


def test_too_little_room_is_said_before_a_round_begins(
    home: Home, run: Run, makers: Makers, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = new_export(home, run, ALL)
    monkeypatch.setattr("core.export.disk.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1}))
    with pytest.raises(StorageError, match="are free"):
        do(home, export)
    assert makers.made == []


def test_forms_of_two_adapters_are_never_mixed(home: Home, run: Run, makers: Makers, base: Path) -> None:
    export = new_export(home, run, ALL)
    makers.acts["merged"] = raises(TaskStopped())
    with pytest.raises(TaskStopped):
        do(home, export)
    save_tiny_adapter(base, run.adapter, seed=1)
    with pytest.raises(RunError, match="has changed since"):
        do(home, export)


def test_an_adapter_that_is_replaced_meanwhile_changes_nothing(
    home: Home, run: Run, makers: Makers, base: Path
) -> None:
    before = sha256_of(run.adapter / WEIGHTS)
    export = new_export(home, run, ["adapter", "merged"])
    makers.acts["adapter"] = lambda: save_tiny_adapter(base, run.adapter, seed=1)
    do(home, export)
    assert sha256_of(run.adapter / WEIGHTS) != before
    assert makers.adapters == [before] * 3 and export.manifest().adapter_sha256 == before


def test_settings_of_two_adapters_are_never_mixed(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ALL)
    makers.acts["merged"] = raises(TaskStopped())
    with pytest.raises(TaskStopped):
        do(home, export)
    settings = run.adapter / "adapter_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"lora_alpha": 99}))
    with pytest.raises(RunError, match="has changed since"):
        do(home, export)


def test_a_form_that_is_not_in_the_comparison_is_compared(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run, ["adapter", "merged"])
    do(home, export)
    export.keep_parity(ParityReport(forms=(FormParity(form="adapter"),)))
    assert export.uncompared == ("merged",) and not export.whole
    do(home, export)
    assert makers.made[-1] == "parity of adapter merged" and export.whole


def test_cards_that_were_broken_off_are_written_by_the_next_round(
    home: Home, run: Run, makers: Makers, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = new_export(home, run, ["merged"])
    do(home, export)
    card = export.form_folder("merged") / "README.md"
    with monkeypatch.context() as patch:
        patch.setattr(companions, "commands_markdown", lambda *_: raises(StorageError("The disk is full."))())
        with pytest.raises(StorageError):
            do(home, export)
    assert not export.missing and not export.uncompared and not export.whole
    made = list(makers.made)
    do(home, export)
    assert export.whole and makers.made == made
    entries = {entry.path: entry.sha256 for entry in export.manifest().files}
    assert entries["merged/README.md"] == sha256_of(card)


def test_the_manifest_names_the_programs_that_converted_and_quantised(
    home: Home, run: Run, makers: Makers, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = new_export(home, run, ["merged"])
    do(home, export)
    assert "xllamacpp" not in export.manifest().software
    monkeypatch.setattr(task, "installed_tool", lambda: LlamaTool("llama-quantize", ("llama-quantize",)))
    makers.converter = "convert_hf_to_gguf.py"
    export = new_export(home, run, ["gguf_q4_k_m"])
    do(home, export)
    software = export.manifest().software
    assert {"convert_hf_to_gguf.py", "llama-quantize"} <= set(software) and "xllamacpp" not in software


def test_a_task_that_was_refused_does_not_hide_the_one_at_work(home: Home, run: Run) -> None:
    export = new_export(home, run)
    assert export_task(home, export) is None
    working, refused = (create_task(home, "export_model", task_arguments(export)) for _ in range(2))
    os.utime(refused.folder / "request.json", (2e9, 2e9))
    me = psutil.Process()
    working.write_status(Status("running", pid=me.pid, created=me.create_time()))
    refused.write_status(Status("failed", error="It is being made just now."))
    assert export_task(home, export) == working


def test_two_rounds_do_not_run_at_once(home: Home, run: Run, makers: Makers) -> None:
    export = new_export(home, run)
    release = writing_alone(export)
    with pytest.raises(RunError, match="just now"):
        do(home, export)
    release()


def test_nothing_is_written_over_what_is_there(home: Home, run: Run, makers: Makers) -> None:
    export = made_up_export(home, run, ["merged", "gguf_f16"])
    before = {
        file: file.read_bytes() for file in (export.folder / "merged" / "model.safetensors", export.file_of("gguf_f16"))
    }
    manifest = export.manifest()
    export.keep_manifest(manifest.model_copy(update={"adapter_sha256": ""}))
    do(home, export)
    assert {file: file.read_bytes() for file in before} == before and makers.made == ["parity of merged gguf_f16"]


def test_a_template_that_ollama_cannot_have_is_a_note_and_no_fault(
    home: Home, makers: Makers, base: Path, tmp_path: Path
) -> None:
    run = tiny_run(home, tmp_path / "dated")
    template = tmp_path / "dated" / "chat_template.jinja"
    template.write_text("{{ strftime_now('%Y') }}" + template.read_text())
    export = new_export(home, run, ["gguf_f16"])
    assert "--jinja" in do(home, export)["notes"][0]
    assert not list(export.form_folder("gguf_f16").glob("Modelfile*"))
    assert "today's date" in (export.folder / "COMMANDS.md").read_text()


def test_a_missing_tokenizer_is_said_in_a_sentence(home: Home, tmp_path: Path) -> None:
    run = tiny_run(home, tmp_path / "bare")
    for folder in (tmp_path / "bare", run.adapter):
        (folder / "tokenizer.json").unlink()
    export = new_export(home, run, ["gguf_f16"])
    with pytest.raises((ModelError, RunError), match=r"tokenizer\.json"):
        do(home, export)
    assert not list(parts(export)) and not export.file_of("gguf_f16").exists()


def test_a_trained_adapter_goes_all_the_way(home: Home, tiny_config: RunConfig) -> None:
    from tests.build_training import trained

    run = trained(home, with_changes(tiny_config, {"train.steps": 2, "adapter.rank": 4}))
    export = new_export(home, run, ALL, questions=2)
    outcome = do(home, export)
    report = export.parity()
    assert outcome["forms"] == list(ALL) and report is not None
    assert [found.form for found in report.forms] == list(ALL)
    assert not any(found.problem for found in report.forms)
    for form in ("merged", "gguf_f16"):
        found = report.of(form)
        assert found is not None and found.divergence is not None and found.divergence < 1e-3
        assert found.prompts_equal == 2
    config = json.loads((export.form_folder("adapter") / "adapter_config.json").read_text())
    assert str(home.root) not in json.dumps(config)
    assert all(export.file_of(form).read_bytes().startswith(b"GGUF") for form in OWN_GGUF_FORMS)
