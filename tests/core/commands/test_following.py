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
from core.jobs.folder import JobFolder
from core.jobs.tasks import TRIAL, create_task
from core.paths import Home
from core.runs.run import create_run

ENDING = "import time; time.sleep(1)"


@pytest.fixture
def ending() -> Iterator[subprocess.Popen[bytes]]:
    """A process that takes a moment to end."""
    with subprocess.Popen([sys.executable, "-c", ENDING]) as process:
        yield process


def say_finished(job: JobFolder, process: subprocess.Popen[bytes]) -> None:
    """The job of this process has written its last word, and the process is still there."""
    created = psutil.Process(process.pid).create_time()
    written = replace(job.written_status(), state="finished", pid=process.pid, created=created, updated=time.time())
    job.write_status(written)


def gone(job: JobFolder) -> bool:
    return job.process(job.written_status()) is None


def test_a_task_that_is_followed_is_gone_when_its_result_is_there(home: Home, ending: subprocess.Popen[bytes]) -> None:
    task = create_task(home, TRIAL, {})
    say_finished(task, ending)
    follow_task(task)
    assert gone(task)


def test_a_run_that_is_followed_is_gone_when_its_end_is_told(
    home: Home, tiny_config: RunConfig, ending: subprocess.Popen[bytes]
) -> None:
    run = create_run(home, tiny_config)
    say_finished(run, ending)
    follow(run, argparse.Namespace(json=True))
    assert gone(run)
