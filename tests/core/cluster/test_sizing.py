"""The table of sizes is what the measured figures and the stated assumptions give, and nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import sizing
from benchmarks.sizing import EIGHT, LAYOUTS, RESULTS, SEVENTY, THIRTY_TWO, Layout


def test_the_document_says_what_is_reckoned() -> None:
    text = sizing.DOCUMENT.read_text(encoding="utf-8")
    assert sizing.document(text) == text, "run: python -m benchmarks.sizing --write"


def test_a_slower_measurement_makes_every_run_slower(tmp_path: Path) -> None:
    for name in ("gpu_generation", "gpu_unsloth", "gpu_step", "gpu_server", "gpu_distributed"):
        shutil.copy(RESULTS / f"{name}.json", tmp_path)
    record = json.loads((tmp_path / "gpu_generation.json").read_text())
    record["vllm"]["seconds"] *= 1.5
    (tmp_path / "gpu_generation.json").write_text(json.dumps(record))
    before, after = sizing.measured(), sizing.measured(tmp_path)
    assert all(sizing.writing_seconds(one, after) > sizing.writing_seconds(one, before) for one in LAYOUTS)
    assert sizing.table(tmp_path) != sizing.table()


@pytest.mark.parametrize(("model", "billions"), [(EIGHT, 8.03), (THIRTY_TWO, 32.76), (SEVENTY, 70.55)])
def test_the_shapes_have_the_parameters_that_their_makers_tell(model: sizing.Model, billions: float) -> None:
    assert model.shape().parameters / 1e9 == pytest.approx(billions, abs=0.01)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: f"{one.model.name} on {one.gpus}")
def test_every_layout_of_the_table_fits(layout: Layout) -> None:
    need = sizing.memory(layout)
    assert need.total <= sizing.GPU_BYTES
    share = sizing.SERVER_SHARE if layout.server else sizing.config_of(layout).train.vllm_memory
    assert sizing.server_bytes(layout) <= share * sizing.GPU_BYTES


def test_the_smallest_model_fits_a_gpu_of_80_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "GPU_BYTES", 80_000_000_000)
    layout = Layout(EIGHT, 1)
    assert sizing.memory(layout).total <= sizing.GPU_BYTES
    assert sizing.server_bytes(layout) <= sizing.config_of(layout).train.vllm_memory * sizing.GPU_BYTES


def test_one_gpu_too_few_does_not_fit_the_largest_model() -> None:
    assert sizing.memory(Layout(SEVENTY, 1, server=1)).total > sizing.GPU_BYTES


def test_sharding_takes_memory_and_adds_traffic() -> None:
    whole = Layout(THIRTY_TWO, 2, server=2)
    sharded = replace(whole, sharded=True)
    assert sizing.memory(sharded).weights < 0.6 * sizing.memory(whole).weights
    rate = sizing.ASSUMED.best_rate
    assert sizing.update_seconds(sharded, sizing.measured(), rate) > sizing.update_seconds(
        whole, sizing.measured(), rate
    )
