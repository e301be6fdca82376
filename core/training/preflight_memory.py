"""What a pre-flight's memory says: whether there is room for the run, and what would make it smaller."""

from __future__ import annotations

from core.config import RunConfig
from core.training.advice import Finding, Mend
from core.training.preflight import PreflightResult

TIGHT = 0.9
"""Share of the free memory beyond which there is no room for what the eight prompts did not show: memory that is split
into pieces too small to use, a longer completion, another program."""


def memory(result: PreflightResult, config: RunConfig) -> Finding:
    """Whether the run fits: memory ran out, is nearly used up, or suffices."""
    taken = result.memory
    where = f"{taken.free / 1e9:.1f} GB of {taken.place} memory were free"
    if result.failure == "memory":
        message = f"Memory ran out while the job was {result.failure_detail}: {where}."
        return Finding("memory", "stop", message, tuple(memory_mends(result, config)))
    said = f"At most {taken.peak / 1e9:.1f} GB were taken; {where}"
    expected = f" {taken.estimated / 1e9:.1f} GB at most had been expected." if taken.estimated else ""
    if taken.peak > TIGHT * taken.free:
        message = f"{said}. A longer completion than the ones seen may not fit any more.{expected}"
        return Finding("memory", "warning", message, tuple(memory_mends(result, config)))
    return Finding("memory", "ok", f"{said}.{expected}")


def memory_mends(result: PreflightResult, config: RunConfig) -> list[Mend]:
    """What makes a run smaller, that first which helps with what the job was busy with when memory ran out."""
    weights, parts, completions = _weight_mends(result, config), _part_mends(result, config), _completion_mends(config)
    if result.failure_detail == "loading":
        return [*weights, *completions]
    if result.failure == "memory" and result.failure_detail != "updating":
        return [*completions, *weights]  # only learning goes in parts; writing and scoring take a step's completions
    return [*parts, *weights, *completions]


def _weight_mends(result: PreflightResult, config: RunConfig) -> list[Mend]:
    if result.memory.place != "GPU" or config.train.quantization == "4bit":
        return []
    return [Mend("Hold the weights in 4 bits", {"train.quantization": "4bit"})]


def _part_mends(result: PreflightResult, config: RunConfig) -> list[Mend]:
    """At least twice as many parts as now; on a GPU also activations that are computed again.

    A GPU's parts that the job has chosen itself were meant to take half of what is free, so it has to be the smallest.
    """
    train, rows = config.train, config.train.completions_per_process
    chosen_by_job = train.gradient_accumulation is None and result.memory.place == "GPU"
    least = rows if chosen_by_job else 2 * (train.gradient_accumulation or 1)
    parts = next((count for count in range(least, rows + 1) if rows % count == 0), None)
    mends = [Mend(f"A step in {parts} parts", {"train.gradient_accumulation": parts})] if parts else []
    if result.memory.place == "GPU" and train.gradient_checkpointing != "on":
        mends.append(Mend("Compute activations again", {"train.gradient_checkpointing": "on"}))
    return mends


def _completion_mends(config: RunConfig) -> list[Mend]:
    train, mends = config.train, []
    each = train.prompts_per_step // train.processes
    if each > 1:
        fewer, rows = each // 2 * train.processes, each // 2 * train.num_generations
        legal = train.gradient_accumulation is None or rows % train.gradient_accumulation == 0
        changes = {"train.prompts_per_step": fewer, **({} if legal else {"train.gradient_accumulation": None})}
        mends.append(Mend(f"{fewer} prompts per step", changes))
    if train.max_completion_length >= 64:
        half = train.max_completion_length // 2
        mends.append(Mend(f"Max completion length {half}", {"train.max_completion_length": half}))
    return mends
