"""The verbs that look at training runs: `runs` lists them, `show` shows one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.commands.run_admin import add_search_options, found_lines
from core.commands.verbs import add_run_verb, add_verb
from core.jobs import queue
from core.json_lines import json_line
from core.paths import Home
from core.runs.completions import held_out, summarise
from core.runs.run import Run, find_run, list_runs
from core.text import duration, one_line, sparkline
from core.training.advice import Finding
from core.training.coach_reader import findings_of
from core.training.curves import metrics_of, opened

_COMPARED = {"reward": "mean reward", "well_formed": "well-formed"}
_POINTS = 200
_NO_RUNS = "There are no runs yet. Start one with: python -m core train --size demo"


def add_run_verbs(verbs: Any) -> None:
    """Add the verbs to what `add_subparsers` returned."""
    add_search_options(add_verb(verbs, "runs", runs, "List runs, the newest first; archived ones are left out."))
    add_run_verb(verbs, "show", show, "Show one run: its state, curve and held-out answers.")


def runs(options: argparse.Namespace, home: Home) -> Any:
    """The runs that are asked for, the newest first."""
    queue.go_on(home)
    rows = []
    for line in found_lines(options, home):
        run, status = line.run, line.status
        rewards, last = _rewards(run)
        rows.append(
            {
                "run": run.id,
                "state": status.state,
                "step": status.step,
                "steps": status.steps,
                "seconds": status.trained_seconds,
                "reward": last,
                "title": line.title,
                "tags": list(line.label.tags),
                "archived": line.label.archived,
            }
        )
        if not options.json:
            print(
                f"{run.id:32} {status.state:12} {status.step:5d}/{status.steps:<5d} "
                f"{duration(status.trained_seconds):>9}  {sparkline(rewards)}"
                + "".join(f"  {one_line(text, 40)}" for text in (line.title, *line.label.tags) if text)
            )
    if not rows and not options.json:
        print("No run is like that." if list_runs(home) else _NO_RUNS)
    return rows


def show(options: argparse.Namespace, home: Home) -> Any:
    """One run: state, curve, held-out answers."""
    return show_run(find_run(home, options.run), options)


def show_run(run: Run, options: argparse.Namespace) -> Any:
    """Print what is known of a run; returns it for `--json`."""
    answers, advice = held_out(run), findings_of(run)
    if options.json:
        return {
            "run": run.id,
            "status": asdict(run.status()),
            "summary": run.summary(),
            "metrics": [asdict(m) for m in metrics_of(run)],
            "held_out": [asdict(answer) for answer in answers],
            "coach": [asdict(finding) for finding in advice],
        }
    print(f"\n{run.id}: {run.summary()}")
    _print_curve(run)
    print(*summarise(answers), sep="\n")
    _print_advice(advice)
    return None


def _print_advice(advice: Sequence[Finding]) -> None:
    """What the coach says, and which settings of a new run would mend it."""
    for finding in advice:
        print(f"Coach: {finding.message}")
        for mend in finding.mends:
            print("  try " + ", ".join(f"{path} = {json_line(value)}" for path, value in mend.changes.items()))


def _print_curve(run: Run) -> None:
    """The reward in one line, and how the run ended against how it began."""
    with opened(run) as curves:
        last = curves.last_step
        if not last:
            return
        quarter = max(1, last // 4)
        began, ended = (
            curves.frame(first, first + quarter - 1, _POINTS, list(_COMPARED)).mean()
            for first in (1, last - quarter + 1)
        )
        print(sparkline(curves.frame(1, last, _POINTS, ["reward"])["reward"].tolist(), width=60))
    for column, name in _COMPARED.items():
        print(f"{name}: {began[column]:.2f} in the first quarter of the steps, {ended[column]:.2f} in the last")


def _rewards(run: Run) -> tuple[list[float], float | None]:
    """The mean reward in so many points that they can be drawn, and that of the last step."""
    with opened(run) as curves:
        last = curves.metrics(curves.last_step, curves.last_step)
        rewards: list[float] = curves.frame(1, curves.last_step, _POINTS, ["reward"])["reward"].tolist()
    return rewards, last[0].reward if last else None
