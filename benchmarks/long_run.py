"""A run of a million logged steps against one of a thousand: how soon its page opens, and what a refresh costs.

Both runs are written by the job's own writers, the records of the curves many at once (a test compares their bytes with
those of one record at a time), with a checkpoint every ten steps, a validation every hundred, ten changes of the
weights, and a file of completions for each step. A browser looks at the page of a live run that goes on step by step.
Server and browser are fresh but for a small run that they have shown before: a browser that has never seen the studio
first has to load its program, which has nothing to do with the run. A run is opened by a click into the list on the
first page; how long its address takes in a new tab, where the browser starts the studio's program once more, is told as
well. A refresh is the processor time that the server spends in a second, in which it draws progress and curves once,
and the rest of the page as often as it always does.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import BrowserContext, Page, sync_playwright

from benchmarks import scratch_home
from benchmarks.interface import _server
from core.config import with_changes
from core.engine.reporting import write_completions
from core.paths import Home
from core.presets import preset_config
from core.reward.scoring import Sample, Scores
from core.runs.completions import step_file
from core.runs.events import EventWriter, Metrics, Validation
from core.runs.run import Run, create_run, list_runs
from core.training.curve_files import Rows
from core.training.curves import CurveReader, CurveWriter
from core.training.groups import GroupWriter

LONG, SHORT = 1_000_000, 1_000
OPEN_SECONDS, REFRESH_MS = 1.5, 50.0
_WATCH_SECONDS = 30
_AT_ONCE = 50_000
_LINKS = 10_000
"""File systems limit how many names a file may have; so many steps share the content of their completions."""
_QUESTIONS = 400
_LIST = '[data-testid="stDataFrame"] canvas'
_ROW_PIXELS = 35
_REST_SECONDS = 2.0


def measure(home: Home) -> dict[str, Any]:
    """Seconds to open the page and milliseconds to refresh it, for both lengths of run."""
    with scratch_home(home) as work:
        small = build(work, 20)
        runs = {steps: build(work, steps) for steps in (SHORT, LONG)}
        found = {steps: _in_a_fresh_server(work, small, run) for steps, run in runs.items()}
        size = sum(file.stat().st_size for file in runs[LONG].curves.iterdir())
    long, short = found[LONG], found[SHORT]
    return {
        "steps": {f"{steps:,}": figures for steps, figures in found.items()},
        "curves_mb_of_the_long_run": round(size / 1e6),
        "open_long_over_short": round(long["open_seconds"] / short["open_seconds"], 2),
        "refresh_long_over_short": round(long["refresh_ms"] / short["refresh_ms"], 2),
        "met": {
            f"opens within {OPEN_SECONDS} s": long["open_seconds"] <= OPEN_SECONDS,
            f"refreshes within {REFRESH_MS:.0f} ms": long["refresh_ms"] <= REFRESH_MS,
        },
    }


def build(home: Home, steps: int) -> Run:
    """A live run of so many steps, of which this process is the job."""
    changes = {"train.steps": steps, "train.validate_every": 100}
    run = create_run(home, with_changes(preset_config("demo"), changes), f"steps-{steps}")
    config = run.config()
    random, names = np.random.default_rng(0), config.reward.components
    writer = CurveWriter(run.curves, names)
    for start in range(0, steps, _AT_ONCE):
        writer.extend(rows(writer, np.arange(start + 1, min(start + _AT_ONCE, steps) + 1), random))
    _write_groups(run, steps)
    _write_events(run, steps)
    _write_completions(run, steps)
    me = psutil.Process()
    run.write_status(replace(run.written_status(), state="running", pid=me.pid, created=me.create_time(), step=steps))
    return run


def rows(writer: CurveWriter, steps: np.ndarray[Any, Any], random: np.random.Generator) -> Rows:
    """Records of steps, shape (steps, columns): a reward that rises and jumps, everything else jumps only."""
    found = np.full((len(steps), len(writer.columns.names)), 0.25)
    found += random.normal(0, 0.02, found.shape)
    found[:, 0], found[:, 1] = steps, 1e9 + 8.0 * steps
    found[:, 2] = np.tanh(steps / 2e5) + random.normal(0, 0.2, len(steps))
    return found


def _write_groups(run: Run, steps: int) -> None:
    writer = GroupWriter(run.curves)
    for step in range(1, steps + 1):
        writer.append(step, [str(step % _QUESTIONS)] * 8, np.linspace(-1, 1, 8))
    writer.close()


def _write_events(run: Run, steps: int) -> None:
    events, weights = EventWriter(run.events), dict(run.config().reward.weights)
    events.write("weights", 0, {"weights": weights, "by": "start"})
    line = CurveReader(run.curves).metrics(1, 1)[0]
    for step in range(1, steps + 1):
        events.write("metrics", step, line.data())
        if step % 10 == 0:
            events.write("checkpoint", step, {"path": f"checkpoints/checkpoint-{step}"})
        if step % 100 == 0:
            found = Validation(step, 8, step / steps, 0.9, line.components, f"validation-{step:06d}.parquet")
            events.write("validation", step, found.data())
        if step % (steps // 10) == 0:
            events.write("weights", step, {"weights": {**weights, "fluency": step / steps}, "by": "user"})
    events.close()


def _write_completions(run: Run, steps: int) -> None:
    for step in range(1, steps + 1):
        if step % _LINKS == 1:
            first = step_file(run, step)
            write_completions(first, step, _samples(step), _scores(run))
        else:
            os.link(first, step_file(run, step))
    step_file(run, steps).unlink()
    write_completions(step_file(run, steps), steps, _samples(steps), _scores(run))


def _samples(step: int) -> list[Sample]:
    text = "<reasoning>It depends on the dose.</reasoning><answer>Check the level again tomorrow.</answer>"
    return [
        Sample("What is to be done?", "Check the level.", text, str(step % _QUESTIONS), tokens=24) for _ in range(8)
    ]


def _scores(run: Run) -> Scores:
    names, rewards = run.config().reward.components, np.linspace(-1, 1, 8)
    return Scores(names, np.full((8, len(names)), 0.5), rewards > -1, rewards > 0, rewards, rewards, None, ())


def _in_a_fresh_server(home: Home, small: Run, run: Run) -> dict[str, float]:
    with _server(home) as (url, server), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            window = browser.new_context()
            _open(window, url, small).close()
            return _watched(window, url, server, home, run)
        finally:
            browser.close()


def _watched(window: BrowserContext, url: str, server: psutil.Process, home: Home, run: Run) -> dict[str, float]:
    start = time.perf_counter()
    _open(window, url, run).close()
    in_new_tab = time.perf_counter() - start
    page = _list(window, url)
    before, start = _processor(server), time.perf_counter()
    page.mouse.click(*_row(page, home, run))
    _await_chart(page)
    opened, spent = time.perf_counter() - start, _processor(server) - before
    _go_on(run, 3)
    before, start = _processor(server), time.perf_counter()
    _go_on(run, _WATCH_SECONDS)
    watched = 1000 * (_processor(server) - before) / (time.perf_counter() - start)
    memory = server.memory_info().rss / 1e6
    page.close()
    return {
        "open_seconds": round(opened, 2),
        "open_processor_seconds": round(spent, 2),
        "open_in_a_new_tab_seconds": round(in_new_tab, 2),
        "refresh_ms": round(watched, 1),
        "server_memory_mb": round(memory),
    }


def _list(window: BrowserContext, url: str) -> Page:
    """The first page, with the list of runs drawn and at rest."""
    page = window.new_page()
    page.goto(url)
    page.get_by_text("Choose a row").wait_for()
    page.locator(_LIST).first.wait_for()
    time.sleep(_REST_SECONDS)
    return page


def _row(page: Page, home: Home, run: Run) -> tuple[float, float]:
    """Where to click to open a run: the box before its row."""
    box = page.locator(_LIST).first.bounding_box()
    assert box is not None
    number = [listed.id for listed in list_runs(home)].index(run.id)
    return box["x"] + _ROW_PIXELS / 2, box["y"] + (number + 1.5) * _ROW_PIXELS


def _open(window: BrowserContext, url: str, run: Run) -> Page:
    """The run's page in a new tab, as soon as its first chart is drawn."""
    page = window.new_page()
    page.goto(f"{url}/train?run={run.id}")
    _await_chart(page)
    return page


def _await_chart(page: Page) -> None:
    page.get_by_text("Total reward").wait_for()
    page.locator('[data-testid="stEChartsChart"] canvas').first.wait_for()


def _processor(process: psutil.Process) -> float:
    """Seconds of processor time that a process has used."""
    return float(sum(process.cpu_times()[:2]))


def _go_on(run: Run, seconds: int) -> None:
    """A step a second."""
    reader = CurveReader(run.curves)
    writer = CurveWriter(run.curves, reader.components)
    for _ in range(seconds):
        last = reader.metrics(reader.last_step, reader.last_step)[0]
        writer.append(Metrics(**{**asdict(last), "step": last.step + 1}), run.config().reward.weights)
        run.write_status(replace(run.written_status(), step=last.step + 1, updated=time.time()))
        time.sleep(1)
