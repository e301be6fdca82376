"""A stand-in of a Cloudera AI workspace: API v2 over HTTP, as far as the studio uses it; its pods are processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

from core.jobs.processes import end_tree
from core.paths import PROJECT

KEY = "key-of-the-workspace"
PROJECT_ID = "proj-ect0-0000-0001"
RUNTIME = "registry.example/ml-runtime-pbj-workbench-python3.11-standard:2026.09.1-b1"
CLIENT = PROJECT / "tests" / "cml_stand_in"
_RUN = re.compile(r"/jobs/(?P<job>[\w-]+)/runs(/(?P<run>[\w-]+)(?P<stop>:stop)?)?$")
_JOB = re.compile(r"/jobs(/(?P<job>[\w-]+))?$")


@dataclass
class Workspace:
    """What the workspace has been asked, and what it answers.

    Attributes:
        made: how many Jobs have been made.
        jobs: what each Job that is there was made of, by its id.
        runs: what each job run was asked, by its id.
        states: the state of each job run.
        refuses: an HTTP status with which it answers everything; None answers properly.
        pods: whether job runs really run their Job's script.
    """

    port: int = 0
    made: int = 0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    refuses: int | None = None
    pods: bool = False
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the workspace sets in its pods."""
        return {
            "CDSW_PROJECT_ID": PROJECT_ID,
            "CDSW_API_URL": f"http://127.0.0.1:{self.port}/api/v1",
            "CDSW_APIV2_KEY": KEY,
        }

    def state(self, run: str) -> str:
        """How a job run stands; its process decides where it has one."""
        pod = self.processes.get(run)
        if pod is not None and pod.poll() is not None and self.states[run] == "ENGINE_RUNNING":
            self.states[run] = "ENGINE_SUCCEEDED" if pod.returncode == 0 else "ENGINE_FAILED"
        return self.states[run]

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the JSON to a request below `/api/v2/projects/<this project>`."""
        if self.refuses is not None:
            return self.refuses, {"message": "no"}
        if path == "/applications":
            return 200, {"applications": [{"script": "cml/application.py", "runtime_identifier": RUNTIME}]}
        if found := _RUN.match(path):
            return self._about_runs(method, found.groupdict(), body)
        if found := _JOB.match(path):
            return self._about_jobs(method, found["job"], body)
        return 404, {"message": "no such path"}

    def _about_jobs(self, method: str, job: str | None, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if method == "POST":
            self.made += 1
            job = f"job-{self.made}"
            self.jobs[job] = body
        return (200, {"id": job, **self.jobs[job]}) if job in self.jobs else (404, {"message": "no such job"})

    def _about_runs(
        self, method: str, asked: dict[str, str | None], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        job, run = str(asked["job"]), asked["run"]
        if job not in self.jobs:
            return 404, {"message": "no such job"}
        if run is None:
            run = f"run-{len(self.runs) + 1}"
            self.runs[run], self.states[run] = {"job": job, **body}, "ENGINE_SCHEDULING"
            if self.pods:
                self._start(run, self.jobs[job], body)
        elif run not in self.runs:
            return 404, {"message": "no such run"}
        elif asked["stop"] and method == "POST":
            self._end(run)
            self.states[run] = "ENGINE_STOPPED"
        return 200, {"id": run, "job_id": job, "status": self.state(run)}

    def _start(self, run: str, job: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        variables = {**os.environ, **self.environment, **asked["environment"], "PYTHONPATH": str(CLIENT)}
        script = [sys.executable, str(PROJECT / job["script"]), "-f", "connection.json"]
        self.processes[run] = subprocess.Popen(script, cwd=PROJECT, env=variables)
        self.states[run] = "ENGINE_RUNNING"

    def _end(self, run: str) -> None:
        if run in self.processes and self.processes[run].poll() is None:
            end_tree(psutil.Process(self.processes[run].pid))
            self.processes[run].wait()

    def close(self) -> None:
        for run in self.processes:
            self._end(run)


@contextmanager
def workspace() -> Iterator[Workspace]:
    """A workspace that listens on the loopback address for the length of a `with` block."""
    found = Workspace()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._handle("GET")

        def do_POST(self) -> None:
            self._handle("POST")

        def _handle(self, method: str) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            root = f"/api/v2/projects/{PROJECT_ID}"
            path = self.path.partition("?")[0]
            status, answer = 404, {"message": "no such project"}
            if self.headers["Authorization"] != f"Bearer {KEY}":
                status, answer = 401, {"message": "who are you?"}
            elif path.startswith(root):
                status, answer = found.answer(method, path.removeprefix(root), body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield found
    finally:
        found.close()
        server.shutdown()
        server.server_close()


def client_folder() -> Path:
    """What has to be on Python's path for `import cmlapi`."""
    return CLIENT
