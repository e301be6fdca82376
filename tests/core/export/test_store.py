"""Exports on disk: what is made, found, refused and removed, and what counts as whole."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from core.access.audit import read_log
from core.errors import ConfigError, DataError, ModelError, RunError, StorageError
from core.export import disk
from core.export.disk import needed_bytes
from core.export.manifest import file_entries
from core.export.parity_report import ParityReport
from core.export.request import make_export_request
from core.export.store import (
    delete_export,
    find_export,
    list_exports,
    slug_of,
    title_of,
    writing_alone,
)
from core.jobs.tasks import silent
from core.paths import Home
from core.runs.run import Run
from core.serving.candidates import offered
from tests.build_adapters import save_base
from tests.build_export import ALL, compared_export, exportable_run, made_up_export, new_export, other_base_adapter

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def run(home: Home, tmp_path: Path) -> Run:
    return exportable_run(home, tmp_path / "base")


def test_an_export_is_found_by_its_id_with_what_was_asked(home: Home, run: Run) -> None:
    made = new_export(home, run, ["gguf_q8_0", "adapter"], title="For the ward")
    found = find_export(home, made.id)
    assert found == made
    assert found.request().forms == ("adapter", "gguf_q8_0")
    assert (found.run_id, title_of(found)) == (run.id, "For the ward")


def test_exports_are_listed_by_run_the_newest_first(home: Home, run: Run, tmp_path: Path) -> None:
    other = exportable_run(home, tmp_path / "other")
    first, second, third = (new_export(home, owner) for owner in (run, other, run))
    assert {export.id for export in list_exports(home)} == {first.id, second.id, third.id}
    assert {export.id for export in list_exports(home, run.id)} == {first.id, third.id}
    assert find_export(home, "last", other.id) == second


def test_an_export_that_is_not_there_is_refused(home: Home, run: Run) -> None:
    for name in ("export-20260101-000000-abcdef", "../adapter", "last"):
        with pytest.raises(DataError, match="no export"):
            find_export(home, name)


def test_a_folder_without_a_request_is_no_export(home: Home, run: Run) -> None:
    (run.folder / "exports" / "export-1").mkdir(parents=True)
    assert list_exports(home) == []


def test_two_exports_never_share_a_folder(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.export.store.secrets.token_hex", lambda _: "aaaaaa")
    monkeypatch.setattr("core.export.store.time.strftime", lambda _: "20260101-000000")
    assert new_export(home, run).folder != new_export(home, run).folder


def test_a_run_without_this_adapter_is_refused(home: Home, run: Run) -> None:
    with pytest.raises(RunError, match="no checkpoint of step 7"):
        new_export(home, run, checkpoint="7")
    shutil.rmtree(run.best)
    with pytest.raises(RunError, match="best adapter"):
        new_export(home, run, checkpoint="best")
    assert list_exports(home) == []


def test_an_adapter_of_another_base_is_refused(home: Home, run: Run, tmp_path: Path) -> None:
    other_base_adapter(run, save_base(tmp_path / "another", hidden=16))
    with pytest.raises(ModelError, match="trained on another model, 'another'"):
        new_export(home, run)


def test_a_form_that_is_unknown_or_named_twice_is_refused() -> None:
    for forms in (("gguf_q2_k",), ("adapter", "adapter"), ()):
        with pytest.raises(ConfigError, match="forms"):
            make_export_request(run="demo-1", forms=forms)


def test_a_request_that_once_left_the_comparison_out_is_read_and_gets_it(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["adapter"])
    request = export.folder / "request.json"
    request.write_text(json.dumps(json.loads(request.read_text()) | {"parity": False}))
    assert export.request().forms == ("adapter",)
    assert export.uncompared == ("adapter",) and not export.whole


def test_too_little_disk_is_said_before_anything_is_made(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 5_000_000))
    with pytest.raises(StorageError, match=r"needs about .* MB of disk .*, and 5\.0 MB are free"):
        new_export(home, run)
    assert list_exports(home) == []


def test_what_is_only_made_on_the_way_needs_room_too(home: Home, run: Run) -> None:
    need = needed_bytes(home, make_export_request(run=run.id, forms=("gguf_q4_k_m",)))
    assert need is not None and list(need.forms) == ["gguf_q4_k_m"]
    three = needed_bytes(home, make_export_request(run=run.id, forms=("adapter", "merged", "gguf_f16")))
    assert three is not None and need.peak == three.total > need.total


def test_four_bits_need_room_for_the_merged_weights_they_are_made_of(home: Home, run: Run) -> None:
    alone = needed_bytes(home, make_export_request(run=run.id, forms=("merged_4bit",)))
    both = needed_bytes(home, make_export_request(run=run.id, forms=("merged", "merged_4bit")))
    assert alone is not None and both is not None and alone.peak == both.peak > alone.total


def test_a_gguf_file_by_unsloth_needs_room_for_what_unsloth_makes_on_the_way(home: Home, run: Run) -> None:
    merged = needed_bytes(home, make_export_request(run=run.id, forms=("unsloth_merged",)))
    gguf = needed_bytes(home, make_export_request(run=run.id, forms=("unsloth_q8_0",)))
    assert merged is not None and gguf is not None
    assert gguf.peak - gguf.total > merged.total > gguf.total


def test_an_export_that_is_deleted_while_exports_are_listed_is_left_out(
    home: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = made_up_export(home, run), made_up_export(home, run)
    monkeypatch.setattr("core.export.store._export_folders", lambda _: [kept.folder, gone.folder])
    shutil.rmtree(gone.folder)
    assert list_exports(home) == [kept]


def test_an_export_whose_cards_are_of_fewer_forms_is_not_whole(home: Home, run: Run) -> None:
    export = compared_export(home, run, ["adapter", "merged"])
    assert export.whole
    manifest = export.manifest()
    export.keep_manifest(manifest.model_copy(update={"described": ("adapter",)}))
    assert not export.whole
    export.keep_manifest(manifest)
    (export.form_folder("merged") / "README.md").unlink()
    assert not export.whole


def test_forms_that_are_there_need_no_more_room(home: Home, run: Run) -> None:
    request = make_export_request(run=run.id, forms=ALL)
    need = needed_bytes(home, request, ALL)
    assert need is not None and (need.total, need.peak) == (0, 0)


def test_a_form_counts_when_the_manifest_names_it_and_it_is_there(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["adapter", "gguf_f16", "gguf_q8_0"])
    assert export.made == ("adapter", "gguf_f16", "gguf_q8_0") and export.missing == ()
    export.file_of("gguf_f16").unlink()
    assert export.missing == ("gguf_f16",)
    export.file_of("gguf_q8_0").rename(export.file_of("gguf_f16"))
    assert export.missing == ("gguf_q8_0",)


def test_a_manifest_names_each_file_with_its_size_and_checksum(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["merged"])
    entries = export.manifest().under("merged")
    assert [entry.path for entry in entries] == ["merged/README.md", "merged/config.json", "merged/model.safetensors"]
    assert list(entries) == file_entries(export.folder, [export.folder / entry.path for entry in entries], silent)
    assert export.bytes_of("merged") == sum((export.folder / entry.path).stat().st_size for entry in entries)


def test_an_acknowledgement_counts_for_the_report_that_was_read(home: Home, run: Run) -> None:
    export = made_up_export(home, run)
    with pytest.raises(RunError, match="no parity report"):
        export.acknowledge()
    export.keep_parity(ParityReport(drift=True))
    assert not export.acknowledged
    export.acknowledge()
    assert export.acknowledged
    read = export.parity_sha256
    entry = read_log(home)[-1]
    assert (entry.action, entry.subject, entry.details) == ("export.acknowledge", export.id, {"report": read})
    export.keep_parity(ParityReport(drift=True, seconds=1.0))
    assert not export.acknowledged
    with pytest.raises(RunError, match="compared again since"):
        export.acknowledge(read)
    assert not export.acknowledged


def test_damaged_files_are_told_apart(home: Home, run: Run) -> None:
    export = made_up_export(home, run)
    for name, read in (
        ("parity.json", export.parity),
        ("manifest.json", export.manifest),
        ("request.json", export.request),
    ):
        (export.folder / name).write_text("{")
        with pytest.raises(DataError):
            read()


def test_one_writer_at_a_time(home: Home, run: Run) -> None:
    export = new_export(home, run)
    release = writing_alone(export)
    with pytest.raises(RunError, match="just now"):
        delete_export(home, export)
    release()
    delete_export(home, export)
    assert list_exports(home) == [] and run.adapter.is_dir()


def test_names_of_files_are_plain_letters() -> None:
    for title, slug in (("", "demo-1"), ("Émile’s model: v2!", "emiles-model-v2"), ("病", "demo-1"), ("../../x", "x")):
        assert slug_of(make_export_request(run="demo-1", title=title, forms=("adapter",))) == slug


def test_what_is_being_written_is_offered_to_nobody(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["merged", "gguf_f16"])
    names = {Path(candidate.model).name for candidate in offered(home)}
    assert {"merged", export.file_of("gguf_f16").name} <= names
    export.form_folder("merged").rename(export.folder / ".part-merged")
    export.file_of("gguf_f16").rename(export.folder / ".part-f16.gguf")
    names = {Path(candidate.model).name for candidate in offered(home)}
    assert not any("part" in name or name.endswith(".gguf") for name in names)
