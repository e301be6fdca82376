"""A real server and a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from core.access.policy import ADMINS_VARIABLE
from core.access.ways import IDENTITY
from core.paths import HOME_VARIABLE, PROJECT, Home

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_START_SECONDS = 60.0
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The system's Chromium, or the one that `CHROMIUM` names; Playwright's own when there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    executable = {"executable_path": found} if found else {}
    return {**browser_type_launch_args, **executable, "args": list(_QUIET)}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1360, "height": 900}, "reduced_motion": "reduce"}


@pytest.fixture(scope="session")
def base_url() -> str:
    """Each module has a server of its own; the plugin's fixture of this name uses what pytest 10 will not have."""
    return ""


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """A shared machine may take its time."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


class Server:
    """The studio on a free port, with a home of its own."""

    def __init__(self, home: Home, log: Path) -> None:
        self.home = home
        self._log = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "studio/app.py", "--server.port", str(self._port)],
                cwd=PROJECT,
                env=os.environ | {HOME_VARIABLE: str(self.home.root)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"The studio did not start:\n{self._log.read_text()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running studio; its home is empty at first."""
    folder = tmp_path_factory.mktemp("studio")
    found = Server(Home.open(folder / "home"), folder / "streamlit.log")
    found.start()
    yield found
    found.stop()


@contextmanager
def signed_in_server(folder: Path, admin: str, access: str = "") -> Iterator[Server]:
    """A running studio that takes the word of a sign-in service.

    Args:
        admin: the one admin that the environment names.
        access: what its access.toml holds.
    """
    found = Server(Home.open(folder / "home"), folder / "streamlit.log")
    (found.home.root / "access.toml").write_text(access, encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(IDENTITY, "proxy")
        environment.setenv(ADMINS_VARIABLE, admin)
        found.start()
    yield found
    found.stop()


class Watch:
    """What a page must not do: leave the machine, or complain."""

    def __init__(self, page: Page) -> None:
        self.outside: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._note_request)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._note_console(message.type, message.text, message.location["url"]))

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.outside.append(request.url)

    def _note_console(self, kind: str, text: str, url: str) -> None:
        # Opened at a page's own address, Streamlit's client first asks below that address and is told 404.
        if kind == "error" and "/_stcore/" not in url:
            self.errors.append(f"{text} {url}")

    def check(self) -> None:
        assert not self.outside
        assert not self.errors


@pytest.fixture
def watch(page: Page) -> Watch:
    return Watch(page)
