"""The figures of a pre-flight as people read them, the same on the page and in a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from core.config import RunConfig
from core.text import duration
from core.training.preflight import PreflightResult, expected_seconds


@dataclass(frozen=True)
class Figure:
    """One number: what it is called, how it reads, and what it means."""

    label: str
    value: str
    help: str


def figures(result: PreflightResult, config: RunConfig) -> list[Figure]:
    """What was measured, the most asked for first; only the memory when the steps did not come to their end.

    Args:
        config: the run whose length is told.
    """
    memory = result.memory
    taken = Figure(
        "Memory",
        f"{memory.peak / 1e9:.1f} of {memory.free / 1e9:.1f} GB",
        f"The most {memory.place} memory that was taken at one time, of what was free before.",
    )
    measured = result.measured
    if measured is None:
        return [taken]
    equal = f"{round(measured.zero_variance * measured.prompts)} of {measured.prompts}"
    return [
        Figure(
            "Whole run",
            duration(expected_seconds(result, config)),
            "From the start to the trained adapter: loading, all steps, saving, validation and held-out questions.",
        ),
        Figure(
            "One step",
            duration(measured.step_seconds) if measured.step_seconds >= 60 else f"{measured.step_seconds:.1f} s",
            f"Writing {measured.generate_seconds:.1f} s, scoring {measured.score_seconds:.1f} s, learning "
            f"{measured.update_seconds:.1f} s.",
        ),
        Figure(
            "Writing speed",
            f"{measured.tokens_per_second:,.0f} tokens/s",
            "All completions of a step together; a token is a piece of a word.",
        ),
        Figure(
            "Valid answers",
            f"{measured.valid:.0%}",
            f"Share of {measured.completions} completions from which an answer could be read. "
            f"{measured.well_formed:.0%} are exactly in the form that was asked for.",
        ),
        Figure(
            "Cut at the limit",
            f"{measured.truncated:.0%}",
            f"Share of completions that reached the limit before they ended. The mean length is "
            f"{measured.mean_tokens:.0f} tokens.",
        ),
        Figure("Groups without differences", equal, "Groups in which all completions earned the same: no lesson."),
        taken,
        Figure("Mean reward", f"{measured.reward:+.2f}", "Before any training, between −1 and 1."),
    ]
