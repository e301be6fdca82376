"""Commands that wait for a job return when its process has given its memory back, so that the next one may start."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from core.commands.follow import follow
from core.commands.verbs import follow_task
from core.config import RunConfig
from core.jobs import supervisor
from core.jobs.folder import JobFolder, Status
from core.jobs.tasks import TRIAL, create_task
from core.paths import Home
from core.runs.run import create_run

ENDING = "import sys; sys.stdin.read()"
LONGEST_LOOK = 1.0
"""Seconds."""


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends once it is waited for longer than for a look at how it stands."""
    with subprocess.Popen([sys.executable, "-c", ENDING], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        let_end, wait = process.stdin.close, supervisor.wait

        def wait_and_let_end(job: JobFolder, seconds: float) -> Status:
            if seconds > LONGEST_LOOK:
                let_end()
            return wait(job, seconds)

        monkeypatch.setattr(supervisor, "wait", wait_and_let_end)
        yield process


def say_finished(job: JobFolder, process: subprocess.Popen[bytes]) -> None:
    """The job of this process has written its last word, and the process is still there."""
    created = psutil.Process(process.pid).create_time()
    written = replace(job.written_status(), state="finished", pid=process.pid, created=created, updated=time.time())
    job.write_status(written)


def assert_waited_for(job: JobFolder, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None and process.stdin.closed, "nobody waited for its end"
    assert job.process(job.written_status()) is None, "it is still there"


def test_a_task_that_is_followed_is_gone_when_its_result_is_there(home: Home, ending: subprocess.Popen[bytes]) -> None:
    task = create_task(home, TRIAL, {})
    say_finished(task, ending)
    follow_task(task)
    assert_waited_for(task, ending)


def test_a_run_that_is_followed_is_gone_when_its_end_is_told(
    home: Home, tiny_config: RunConfig, ending: subprocess.Popen[bytes]
) -> None:
    run = create_run(home, tiny_config)
    say_finished(run, ending)
    follow(run, argparse.Namespace(json=True))
    assert_waited_for(run, ending)
