"""The list of exports on the Export page."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.export.store import Export
from core.paths import Home
from studio import export_list, export_open
from studio.export_open import Opened
from tests.build_export import exportable_run, made_up_export
from tests.build_export_page import drifted


def test_an_export_is_read_again_only_when_it_has_changed(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = made_up_export(home, exportable_run(home, tmp_path / "base"), ("adapter", "merged"))
    read, asked = export_open.read, list[str]()

    def counted(found: Export) -> Opened:
        asked.append(found.id)
        return read(found)

    monkeypatch.setattr(export_open, "read", counted)
    first = export_list.lines(home)
    assert export_list.lines(home) == first and asked == [export.id]

    export.keep_parity(drifted(("adapter", "merged")))
    assert [line.answers for line in export_list.lines(home)] == ["Drift"]
    export.acknowledge()
    assert [line.answers for line in export_list.lines(home)] == ["Drift, acknowledged"]
    export.place_of("merged").rename(export.folder / "elsewhere")
    assert [line.made for line in export_list.lines(home)] == ["LoRA adapter"]
