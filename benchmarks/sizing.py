"""What runs of 8, 32 and 70 billion parameters need: worked out on paper from what was measured on one H200.

`python -m benchmarks.sizing` prints the tables of docs/sizing.md; `--write` puts them there. Nothing is measured here:
the figures come from benchmarks/results/gpu_*.json and from the shapes of the models, and the assumptions stand in
`ASSUMED`, each with its source.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.config import RunConfig, with_changes
from core.machine import Gpu, Machine
from core.paths import PROJECT
from core.presets import preset_config
from core.training.memory import Estimate, estimate_shape
from core.training.model_shape import ModelShape

DOCUMENT = PROJECT / "docs" / "sizing.md"
RESULTS = PROJECT / "benchmarks" / "results"
_MARK = "<!-- {}: python -m benchmarks.sizing --write -->"
_END = "<!-- end -->"

GPU_BYTES = 150_000_000_000
"""Memory of an H200 as its driver tells it."""
SERVER_SHARE = 0.8
"""Of each server GPU that vLLM takes; see `core.engine.vllm_server`."""
MEASURED_PARAMETERS = 134_515_008
MEASURED_ROWS, MEASURED_COMPLETION, MEASURED_PROMPT = 64, 160, 512
"""Of the runs that were measured: completions a step, and the greatest lengths, to which a step pads its rows."""


@dataclass(frozen=True)
class Assumed:
    """What was not measured.

    Attributes:
        memory_bandwidth: bytes a second at which vLLM reads weights: six tenths of the 4.8 TB/s on NVIDIA's data sheet.
        best_rate: operations a second of the update of a large model: four tenths of the 989 TFLOP/s for dense 16-bit
            products on the data sheet. The worst rate is that measured with the small model.
        link: bytes a second between two GPUs of one host, a third of NVLink's 900 GB/s on the data sheet.
        transfer: bytes a second at which new weights reach vLLM, tensor by tensor.
    """

    memory_bandwidth: float = 0.6 * 4.8e12
    best_rate: float = 0.4 * 989e12
    link: float = 300e9
    transfer: float = 50e9


ASSUMED = Assumed()


@dataclass(frozen=True)
class Model:
    """A decoder with gated feed-forward layers, as in Llama and Qwen; shapes from the models' own config.json."""

    name: str
    layers: int
    hidden: int
    feed_forward: int
    key_value: int
    vocabulary: int

    def shape(self) -> ModelShape:
        """What `core.training.memory` reckons with."""
        hidden, wide, narrow = self.hidden, self.feed_forward, self.key_value
        linear = {"q_proj": 2 * hidden, "k_proj": hidden + narrow, "v_proj": hidden + narrow, "o_proj": 2 * hidden}
        linear |= dict.fromkeys(("gate_proj", "up_proj", "down_proj"), hidden + wide)
        weights = self.layers * (2 * hidden * hidden + 2 * hidden * narrow + 3 * hidden * wide)
        embeddings = 2 * self.vocabulary * hidden
        return ModelShape(weights + embeddings, self.layers, hidden, self.vocabulary, narrow, linear, weights)


@dataclass(frozen=True)
class Layout:
    """How a model is laid over GPUs.

    Attributes:
        processes: training processes, each on a GPU of its own.
        sharded: whether each holds a part of the weights (FSDP) or all of them.
        server: GPUs of a vLLM server; none where vLLM works in each training process.
    """

    model: Model
    processes: int
    sharded: bool = False
    server: int = 0

    @property
    def gpus(self) -> int:
        return self.processes + self.server

    def words(self) -> str:
        spread = "FSDP" if self.sharded else "a copy on each"
        train = "1 trains" if self.processes == 1 else f"{self.processes} train ({spread})"
        if not self.server:
            return f"{train}, vLLM in the process"
        return f"{train}, {self.server} for the vLLM server"


EIGHT = Model("8B (as Llama 3.1 8B)", 32, 4096, 14336, 1024, 128256)
THIRTY_TWO = Model("32B (as Qwen 2.5 32B)", 64, 5120, 27648, 1024, 152064)
SEVENTY = Model("70B (as Llama 3.1 70B)", 80, 8192, 28672, 1024, 128256)
LAYOUTS = (
    Layout(EIGHT, 1),
    Layout(EIGHT, 2),
    Layout(EIGHT, 4),
    Layout(THIRTY_TWO, 1, server=1),
    Layout(THIRTY_TWO, 2, sharded=True, server=2),
    Layout(SEVENTY, 2, sharded=True, server=2),
    Layout(SEVENTY, 4, sharded=True, server=4),
)


@dataclass(frozen=True)
class Measured:
    """From benchmarks/results, with the embedded model on one H200.

    Attributes:
        token_seconds: of one more token for all completions at once, everything that does not grow with the model.
        rate: operations a second of the update.
        other_seconds: of a step beside writing and updating: the scoring above all.
        step_seconds: of a whole step with vLLM in the process.
        server_step_seconds: of a whole step with a vLLM server on a second GPU; nothing is reckoned from it.
        scaling: what each of two training GPUs does of the work of one alone, in whole steps.
    """

    token_seconds: float
    rate: float
    other_seconds: float
    step_seconds: float
    server_step_seconds: float
    scaling: float


def measured(results: Path = RESULTS) -> Measured:
    """What the result files say, in the terms of the table."""
    write = _result(results, "gpu_generation")["vllm"]["seconds"]
    update = _result(results, "gpu_unsloth")["trl"]["update_seconds"]
    step = _result(results, "gpu_step")["studio_seconds"]["median"]
    tokens = MEASURED_ROWS * (MEASURED_PROMPT + MEASURED_COMPLETION)
    operations = 4 * MEASURED_PARAMETERS * tokens  # forward, and gradients of activations: the weights are frozen
    server = _result(results, "gpu_server")["step_seconds"]["median"]
    scaling = _result(results, "gpu_distributed")["two_over_one"] / 2
    return Measured(write / MEASURED_COMPLETION, operations / update, step - write - update, step, server, scaling)


def config_of(layout: Layout) -> RunConfig:
    """The run that the table is about: the size `recommended`."""
    way = "vllm_server" if layout.server else "vllm"
    return with_changes(
        preset_config("recommended"),
        {"train.processes": layout.processes, "train.generation": way, "train.gradient_checkpointing": "on"},
    )


def memory(layout: Layout) -> Estimate:
    """What each training GPU needs, as the studio estimates it before a start.

    Where weights are sharded, a GPU holds its part of them and, for a moment, one whole decoder block.
    """
    shape = layout.model.shape()
    if layout.sharded:
        block = shape.linear_parameters // shape.layers
        part = shape.parameters // layout.processes + block
        shape = replace(shape, parameters=part, linear_parameters=shape.linear_parameters // layout.processes)
    gpu = Gpu(0, "NVIDIA H200", GPU_BYTES, GPU_BYTES, 9.0)
    packages: Mapping[str, str | None] = {"vllm": "there"}
    machine = Machine("", 0, 0, 0, 0, (gpu,), packages, {})
    return estimate_shape(config_of(layout), shape, machine)


def server_bytes(layout: Layout) -> int:
    """What vLLM needs on each of its GPUs: its part of the weights, and keys and values of all completions."""
    shape, train = layout.model.shape(), config_of(layout).train
    rows = train.completions_per_step if layout.server else train.completions_per_process
    cache = rows * (train.max_prompt_length + train.max_completion_length) * 4 * shape.key_value * shape.layers
    return (2 * shape.parameters + cache) // max(layout.server, 1)


def writing_seconds(layout: Layout, found: Measured) -> float:
    """The longest completion decides: each of its tokens reads all weights once."""
    parameters, train = layout.model.shape().parameters, config_of(layout).train
    read = 2 * parameters / max(layout.server, 1) / ASSUMED.memory_bandwidth
    return train.max_completion_length * (found.token_seconds + read) + 2 * parameters / ASSUMED.transfer


def update_seconds(layout: Layout, found: Measured, rate: float) -> float:
    """Forward, forward again and backward over all tokens; sharded weights are gathered for each of the three."""
    shape, train = layout.model.shape(), config_of(layout).train
    tokens = train.completions_per_step * (train.max_prompt_length + train.max_completion_length)
    speed = rate * (1 if layout.processes == 1 else layout.processes * found.scaling)
    seconds = 6 * shape.parameters * tokens / speed
    if layout.sharded:
        rows = _rows_at_once(layout)
        parts = math.ceil(train.completions_per_process / rows)
        away = 1 - 1 / layout.processes
        seconds += parts * 3 * 2 * shape.parameters * away / ASSUMED.link
    return seconds


def step_seconds(layout: Layout, found: Measured, best: bool) -> float:
    """Of one step, at best or at worst."""
    rate = ASSUMED.best_rate if best else found.rate
    return writing_seconds(layout, found) + update_seconds(layout, found, rate) + found.other_seconds


def table(results: Path = RESULTS) -> str:
    """What each layout needs, in Markdown."""
    found, steps = measured(results), preset_config("recommended").train.steps
    lines = [
        "| model | GPUs | how they are used | GB on a training GPU | GB for vLLM, each | seconds a step | "
        f"{steps} steps |",
        "|---|---|---|---|---|---|---|",
    ]
    for layout in LAYOUTS:
        low, high = (step_seconds(layout, found, best) for best in (True, False))
        need = memory(layout)
        inside = 0 if layout.server else need.cache  # vLLM's share of the training GPU
        lines.append(
            f"| {layout.model.name} | {layout.gpus} | {layout.words()} | {(need.total - inside) / 1e9:.0f} | "
            f"{server_bytes(layout) / 1e9:.0f} | {low:.0f} to {high:.0f} | "
            f"{low * steps / 3600:.1f} to {high * steps / 3600:.1f} h |"
        )
    return "\n".join(lines)


def figures(results: Path = RESULTS) -> str:
    """What was measured and what was assumed, in Markdown."""
    found, assumed = measured(results), ASSUMED
    rows = {
        "writing one more token of all 64 completions, small model": f"{found.token_seconds * 1e3:.1f} ms (measured)",
        "update, at worst": f"{found.rate / 1e12:.0f} TFLOP/s (measured with the small model)",
        "update, at best": f"{assumed.best_rate / 1e12:.0f} TFLOP/s (four tenths of the data sheet's 989)",
        "scoring and all else in a step": f"{found.other_seconds:.2f} s (measured)",
        "reading weights": f"{assumed.memory_bandwidth / 1e12:.1f} TB/s (six tenths of the data sheet's 4.8)",
        "between two GPUs of one host": f"{assumed.link / 1e9:.0f} GB/s (a third of the data sheet's 900)",
        "new weights on their way to vLLM": f"{assumed.transfer / 1e9:.0f} GB/s (assumed)",
        "what N training GPUs do": f"{found.scaling:.2f} N times the work of one (measured with two)",
        "a step of the small model, vLLM in the process": f"{found.step_seconds:.2f} s (measured)",
        "the same with a vLLM server on another GPU": f"{found.server_step_seconds:.2f} s (measured, while it learned)",
    }
    return "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def held(results: Path = RESULTS) -> str:
    """What a model of 7.4 billion parameters took, beside what is reckoned for it, in Markdown."""
    found = _result(results, "gpu_large")
    low, high = found["estimated_step_seconds_of_one"]
    memory_gb = found["estimated_gpu_gb_beside_vllm_of_one"]
    rows = [f"| reckoned for 1 GPU | {memory_gb:.0f} | | | {low:.0f} to {high:.0f} |"]
    for way, words in (("one", "1 GPU"), ("two_fsdp", "2 GPUs, FSDP"), ("two_zero3", "2 GPUs, ZeRO-3")):
        one = found[way]
        rows.append(
            f"| {words} | {one['gpu_gb_beside_vllm']:.0f} | {one['generate_seconds']:.1f} | "
            f"{one['update_seconds']:.1f} | {one['step_seconds']['median']:.1f} |"
        )
    head = "| | GB beside vLLM | seconds of writing and sending weights | of the update | of a step |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def document(text: str, results: Path = RESULTS) -> str:
    """The document with its tables replaced."""
    parts = {"needs": table(results), "figures": figures(results), "held": held(results)}
    for name, lines in parts.items():
        mark = _MARK.format(name)
        before, _, rest = text.partition(mark)
        _, _, after = rest.partition(_END)
        text = f"{before}{mark}\n{lines}\n{_END}{after}"
    return text


def _rows_at_once(layout: Layout) -> int:
    """Completions that pass through a sharded model at once, from the activations that the estimate reckons with."""
    train, need = config_of(layout).train, memory(layout)
    one = train.max_completion_length * layout.model.vocabulary * 16
    return max(1, round(need.logits / one))


def _result(results: Path, name: str) -> Any:
    return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/sizing.md")
    if parser.parse_args().write:
        DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    print(table(), figures(), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
