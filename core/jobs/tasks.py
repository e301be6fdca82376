"""Work that takes longer than a page may wait for, other than training: importing data, checking it.

A task is a job's folder, `<home>/tasks/<task id>/`, with two files more: `request.json`, what was asked, and
`result.json`, what came of it. `core.jobs.supervisor.start_task` starts one.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from core.access.permissions import Action
from core.access.starters import remember_starter
from core.jobs.folder import JobFolder, Status
from core.jobs.server_guard import guarded
from core.paths import Home, new_folder, write_json

KINDS: Mapping[str, str] = {
    "import": "core.data.sources:import_table",
    "report": "core.data.quality:run_report",
    "preview": "core.data.mending:run_preview",
    "prepare": "core.data.saving:prepare",
    "try_reward": "core.engine.try_reward:try_reward",
    "fit": "core.lab.fitting:fit_task",
    "sample": "core.engine.lab:sample",
    "measure": "core.engine.lab:measure",
    "stress": "core.engine.lab:stress",
    "preflight": "core.engine.preflight:preflight",
    "export_run": "core.runs.export:export_task",
    "serve_model": "core.engine.serving.model:serve",
    "serve_score": "core.engine.serving.scores:serve",
    "compare": "core.compare.batch:compare",
    "blind_results": "core.compare.blind_results:results_task",
    "evaluate": "core.evaluate.task:evaluate",
    "export_model": "core.engine.export.task:export_model",
    "push_export": "core.export.hub_upload:push_export",
}
"""What each kind of task calls, as `module:function`: `function(home, arguments, progress)` returns its result."""
NEEDS: Mapping[str, Action] = {
    "import": "data.prepare",
    "report": "data.prepare",
    "preview": "data.prepare",
    "prepare": "data.prepare",
    "try_reward": "reward.weigh",
    "fit": "reward.weigh",
    "sample": "reward.weigh",
    "measure": "reward.weigh",
    "stress": "reward.weigh",
    "preflight": "train.preflight",
    "export_run": "run.export",
    "serve_model": "compare.ask",
    "serve_score": "compare.ask",
    "compare": "compare.ask",
    "blind_results": "compare.ask",
    "evaluate": "evaluation.create",
    "export_model": "export.create",
    "push_export": "export.push",
}
"""What somebody has to be allowed to do who starts a task of each kind."""
SERVERS = ("serve_model", "serve_score")
"""The kinds that answer over HTTP until nobody needs them any more; see `core.serving.servers`."""
TRIAL = "preflight"
"""The kind that does a few steps of a run, and so takes as much room as one."""

_STATUS_SECONDS = 0.3
"""How often the status is written at most while a phase goes on."""
_KEPT = 20
"""How many tasks of each kind are kept."""


Tell = Callable[[str, int, int], None]
"""Told the phase, how many parts of it are done, and how many there are; `Progress` and `silent` are two."""


def needed_to_stop(kind: str) -> Action:
    """What somebody has to be allowed to do who stops a task of this kind that another has started.

    Everybody may ask models, but not break off what others have asked.
    """
    return "compare.stop" if NEEDS[kind] == "compare.ask" else NEEDS[kind]


class TaskStopped(Exception):
    """The user asked the task to stop."""


class Progress:
    """Tells a task's folder how far it is."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._written = 0.0
        self._phase = ""

    @property
    def folder(self) -> Path:
        """The task's folder, where it may leave more than its result."""
        return self._task.folder

    def __call__(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Say what the task is busy with, `done` of `total` parts of it done.

        Raises:
            TaskStopped: the user asked the task to stop.
        """
        if self._task.stop_request.exists():
            raise TaskStopped
        if phase == self._phase and time.monotonic() - self._written < _STATUS_SECONDS:
            return
        self._phase, self._written = phase, time.monotonic()
        self._task.write_status(
            replace(self._task.written_status(), phase=phase, done=done, total=total, updated=time.time())
        )


def silent(phase: str, done: int = 0, total: int = 0) -> None:
    """A progress that nobody looks at."""


@dataclass(frozen=True)
class Task(JobFolder):
    """One task's folder."""

    def kind(self) -> str:
        return str(self._request()["kind"])

    def arguments(self) -> dict[str, Any]:
        return dict(self._request()["arguments"])

    def result(self) -> Any:
        """What the finished task found; None before."""
        file = self.folder / "result.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def _request(self) -> dict[str, Any]:
        request: dict[str, Any] = json.loads((self.folder / REQUEST).read_text(encoding="utf-8"))
        return request


REQUEST = "request.json"


def create_task(home: Home, kind: str, arguments: Mapping[str, Any]) -> Task:
    """Make the folder of a new task; the oldest ended ones of its kind are removed.

    Raises:
        StorageError: the disk is full or the home cannot be written.
    """
    _forget_old(home, kind)
    task = Task(new_folder(home.tasks, f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"))
    (task.folder / "control").mkdir()
    remember_starter(task.folder)
    task.write_status(Status(state="starting", started=time.time(), updated=time.time()))
    write_json(task.folder / REQUEST, {"kind": kind, "arguments": dict(arguments)})  # last: it makes the folder a task
    return task


def tasks_of(home: Home, kind: str) -> list[Task]:
    """All tasks of a kind that are kept, in no order."""
    return [Task(folder) for folder in home.tasks.glob(f"{kind}-*") if (folder / REQUEST).is_file()]


def newest_task(home: Home, kind: str, arguments: Mapping[str, Any]) -> Task | None:
    """The task of this kind that was asked last with these arguments, among others perhaps; None when none is kept."""
    found = []
    for folder in home.tasks.glob(f"{kind}-*"):
        with suppress(FileNotFoundError):  # old tasks are removed when new ones are made
            task = Task(folder)
            if task.kind() == kind and arguments.items() <= task.arguments().items():
                found.append(((folder / REQUEST).stat().st_mtime_ns, task))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def perform(task: Task, home: Home) -> None:
    """Do what the task asks, in this process.

    Raises:
        StudioError: something the user can mend; the worker then marks the task as failed.
    """
    module, _, function = KINDS[task.kind()].partition(":")
    try:
        with guarded(task) if task.kind() in SERVERS else nullcontext():
            work: Callable[[Home, Mapping[str, Any], Progress], Any] = getattr(import_module(module), function)
            result = work(home, task.arguments(), Progress(task))
    except TaskStopped:
        task.write_status(replace(task.written_status(), state="stopped", updated=time.time()))
        return
    write_json(task.folder / "result.json", result)
    task.write_status(replace(task.written_status(), state="finished", phase="", updated=time.time()))


def _forget_old(home: Home, kind: str) -> None:
    for task in sorted(tasks_of(home, kind), key=lambda task: task.written_status().started)[:-_KEPT]:
        if not task.status().live:
            shutil.rmtree(task.folder, ignore_errors=True)
