"""Servers that load no model but are otherwise real: processes of their own that answer over HTTP.

`python -m tests.stand_in_server FOLDER HOME` is the worker of jobs with these servers in it.
`python -m tests.stand_in_server studio HOME CANDIDATE` is a studio that uses a server until it is killed.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.jobs import spawning, tasks, worker
from core.jobs.tasks import Progress
from core.paths import Home
from core.serving.candidates import parse_candidate
from core.serving.lifetime import Lifetime, write_address
from core.serving.servers import wait_for

MODULE = "tests.stand_in_server"
KINDS = {"serve_model": f"{MODULE}:serve", "serve_score": f"{MODULE}:serve"}
BROKEN, SLOW, REFUSED = "broken", "slow", "refused"
"""Files that, in a model's folder, make it fail or go on loading; and, in an adapter's, make the server refuse it."""


class _Handler(BaseHTTPRequestHandler):
    """Knows which adapters are loaded, and nothing else."""

    token: str
    adapters: list[str]

    def do_GET(self) -> None:
        self._answer(200, {"data": [{"id": name} for name in ("base", *self.adapters)]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "unload" in self.path:
            self.adapters.remove(asked["lora_name"])
        elif (Path(asked["lora_path"]) / REFUSED).exists():
            return self._answer(400, {"error": {"message": "The rank is too large.", "type": "", "code": 400}})
        else:
            assert asked["lora_name"] not in self.adapters
            self.adapters.append(asked["lora_name"])
        self._answer(200, {})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, value: Mapping[str, Any]) -> None:
        if self.headers["Authorization"] != f"Bearer {self.token}":
            status, value = 401, {"error": "Unauthorized"}
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(home: Home, arguments: Mapping[str, Any], progress: Progress) -> Any:
    """A server that is ready at once, unless its model's folder says otherwise."""
    folder = Path(arguments.get("model", "nowhere"))
    while (folder / SLOW).exists():
        progress("loading the model", 1, 4)
        time.sleep(0.05)
    if (folder / BROKEN).exists():
        raise ModelError("The model cannot be loaded. Choose another one.")
    handler = type("Handler", (_Handler,), {"token": secrets.token_urlsafe(), "adapters": []})
    with ThreadingHTTPServer(("127.0.0.1", int(arguments["port"])), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        write_address(progress.folder, f"http://127.0.0.1:{server.server_port}", handler.token)
        progress("ready")
        lifetime, started = Lifetime(progress.folder), time.time()
        while not lifetime.over(started):
            time.sleep(0.1)
        server.shutdown()
    return {"ended": lifetime.reason}


def stand_in() -> None:
    """Start stand-ins in place of servers from now on, in this process."""
    real = spawning.detached
    spawning.detached = lambda module, *rest: real(MODULE, *rest)


def _studio(root: str, candidate: str) -> None:
    stand_in()
    home = Home(Path(root))
    endpoint = wait_for(home, parse_candidate(candidate, home), 60)
    print(endpoint.base_url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "studio":
        _studio(*sys.argv[2:])
    else:
        tasks.KINDS = KINDS
        sys.exit(worker.main(Path(sys.argv[1]), Path(sys.argv[2])))
