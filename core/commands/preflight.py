"""The verb `preflight`: try a run before it is started, and say whether it is worth it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from core.commands.train import config_of, config_options
from core.commands.verbs import add_verb, finish_task
from core.errors import RunError
from core.json_lines import json_line
from core.paths import Home
from core.training import preflight_task
from core.training.advice import Finding, Level
from core.training.preflight import PreflightResult, expected_seconds, verdict
from core.training.preflight_rules import judge
from core.training.preflight_words import Figure, figures

_MARKS: dict[Level, str] = {"ok": "ok", "warning": "note", "stop": "STOP"}


def add_preflight_verb(verbs: Any) -> None:
    """Add the verb to what `add_subparsers` returned."""
    text = "Try a run on eight prompts without learning: time, memory, format. Exit code 2 when it should not start."
    config_options(add_verb(verbs, "preflight", preflight, text))


def preflight(options: argparse.Namespace, home: Home) -> Any:
    """Try the run that the options ask for and print what came of it.

    Raises:
        RunError: something speaks against starting it; all that was found has been printed.
    """
    config = config_of(options, home)
    preflight_task.refuse(home, config)
    found = finish_task(home, preflight_task.KIND, preflight_task.arguments(config))
    result = PreflightResult.model_validate(found)
    judged, seconds = judge(result, config), expected_seconds(result, config)
    said = verdict(judged, seconds, time.time())
    if options.json:
        answer = {"verdict": asdict(said), "findings": [asdict(finding) for finding in judged]}
        print(json_line({**answer, "seconds": seconds, "result": result.model_dump(mode="json")}))
    else:
        print(*_lines(figures(result, config), judged), sep="\n")
    if not said.go:
        raise RunError(said.sentence)
    if not options.json:
        print(said.sentence)
    return None


def _lines(shown: Sequence[Figure], judged: Sequence[Finding]) -> Iterator[str]:
    yield from (f"{figure.label:26} {figure.value}" for figure in shown)
    for finding in judged:
        yield f"{_MARKS[finding.level]:5} {finding.message}"
        for mend in finding.mends:
            yield f"      {mend.label}: " + " ".join(f"--set {_option(*change)}" for change in mend.changes.items())


def _option(path: str, value: Any) -> str:
    """A change as `--set` takes it, whole to be copied into a shell."""
    return f"'{path}={json_line(value)}'" if isinstance(value, list | dict) else f"{path}={json_line(value)}"
