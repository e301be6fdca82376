"""The studio's own weight: what its process loads and holds, how soon the first page is there, what watching costs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, sync_playwright

from benchmarks import scratch_home
from core.config import with_changes
from core.jobs import supervisor
from core.paths import PROJECT, Home
from core.presets import preset_config

WATCH_SECONDS = 30.0
PAGE_SECONDS = 2.0
MEMORY_MB = 250.0
LIVE_SHARE = 0.02


def measure(home: Home) -> dict[str, Any]:
    with scratch_home(home) as work, _server(work) as (url, server), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        _open(browser, url)  # the server is warm from here on
        first_page = min(_open(browser, url) for _ in range(3))
        share = _watching_share(browser, url, server, work)
        memory = server.memory_info().rss / 1e6
        torch_loaded = any("torch" in Path(part.path).parts for part in server.memory_maps())
        browser.close()
    return {
        "first_page_seconds": round(first_page, 2),
        "server_memory_mb": round(memory),
        "server_loads_torch": torch_loaded,
        "live_view_share_of_the_jobs_processor_time": round(share, 4),
        "met": {
            "first page within 2 s of a warm server": first_page <= PAGE_SECONDS,
            "under 250 MB": memory < MEMORY_MB,
            "without torch": not torch_loaded,
            "live view at most 2 % of the job's time": share <= LIVE_SHARE,
        },
    }


@contextmanager
def _server(home: Home) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "studio/app.py", "--server.port", str(port)]
    environment = os.environ | {"GRPO_STUDIO_HOME": str(home.root)}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_healthy(url)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait_healthy(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the studio did not start within a minute")


def _open(browser: Browser, url: str) -> float:
    """Seconds until a new tab shows the page's heading."""
    with browser.new_context() as context:
        page = context.new_page()
        start = time.perf_counter()
        page.goto(url)
        page.get_by_role("heading").first.wait_for()
        return time.perf_counter() - start


def _watching_share(browser: Browser, url: str, server: psutil.Process, home: Home) -> float:
    """The server's processor time while a tab watches a running job, over the time of the cores that the job has."""
    run = supervisor.start(home, with_changes(preset_config("demo"), {"train.held_out_rows": 0}), "bench")
    try:
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"{url}/train?run={run.id}")
            page.get_by_text("generating").first.wait_for(timeout=120_000)
            before = sum(server.cpu_times()[:2])
            start = time.perf_counter()
            time.sleep(WATCH_SECONDS)
            spent = sum(server.cpu_times()[:2]) - before
            return spent / (time.perf_counter() - start) / (psutil.cpu_count() or 1)
    finally:
        supervisor.stop(run)
        supervisor.wait(run, 120)
