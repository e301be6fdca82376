"""A stand-in for the Hugging Face Hub on this machine, spoken to by the Hub's real client.

It knows accounts, repositories, the storage for large files and commits, as far as an upload of a model uses them, and
has faults where a test wants them. Of large files it keeps hash and size only.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

TOKEN = "hf_made-up-token-of-a-test"
ACCOUNT = "ward-7"
_SMALL = 100_000
"""Files up to so many bytes are kept by git itself."""
_CHUNK = 65_536


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: `oid` is git's name of a small one, the SHA-256 of a large one."""

    oid: str
    size: int
    large: bool


@dataclass
class HubRepository:
    private: bool
    files: dict[str, HubFile] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class Fault:
    """What goes wrong with requests whose method and path match.

    Attributes:
        status: is answered instead; 0 breaks the connection after half of what is sent, -1 never answers.
        times: how often; the next request then goes well.
        message: what the Hub says of it.
    """

    pattern: str
    status: int
    times: int = 1_000
    message: str = ""


@dataclass
class FakeHub:
    """The Hub.

    Attributes:
        requests: method and path of all requests, in order.
        tokens: what was sent as authorization, with all requests but those to the storage.
        stored: hash and size of the large files that have arrived whole.
        received: bytes that arrived at the storage, whole files or not, by hash.
        ignored: the ending of what the repositories keep out.
    """

    url: str = ""
    repositories: dict[str, HubRepository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    stored: dict[str, int] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    ignored: str = "nothing"
    released: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def sent(self) -> list[str]:
        """The hashes of the large files that somebody began to send, in order."""
        return [request.rpartition("/")[2] for request in self.requests if request.startswith("PUT ")]

    def fault(self, request: str) -> Fault | None:
        for found in self.faults:
            if found.times and re.search(found.pattern, request):
                found.times -= 1
                return found
        return None


@dataclass(frozen=True)
class Reply:
    value: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def _gone() -> Reply:
    return Reply({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})


def answer(hub: FakeHub, request: str, body: bytes) -> Reply:
    """What the Hub says to a request, other than one to its storage."""
    if request == "GET /api/whoami-v2":
        return Reply({"name": ACCOUNT, "type": "user", "orgs": []})
    if request == "POST /api/validate-yaml":
        wrong = b"license: []" in body
        return Reply({"errors": [{"message": '"license" must be a string'}]} if wrong else {}, 400 if wrong else 200)
    if request == "POST /api/repos/create":
        return _created(hub, json.loads(body))
    if found := re.fullmatch(r"POST /(.+)\.git/info/lfs/objects/batch", request):
        return _batch(hub, json.loads(body)) if found[1] in hub.repositories else _gone()
    found = re.fullmatch(r"(?:GET|POST) /api/models/([^/]+/[^/]+)/?([a-z-]*)(?:/main)?", request)
    if found is None or found[1] not in hub.repositories:
        return _gone()
    return _of_repository(hub, found[1], found[2], body)


def _of_repository(hub: FakeHub, name: str, what: str, body: bytes) -> Reply:
    repository = hub.repositories[name]
    match what:
        case "" | "revision":
            sha = repository.commits[-1] if repository.commits else "0" * 40
            return Reply({"id": name, "private": repository.private, "sha": sha, "siblings": [], "tags": []})
        case "tree":
            return Reply([_path_info(path, file) for path, file in repository.files.items() if "/" not in path])
        case "paths-info":
            paths = parse_qs(body.decode())["paths"]
            return Reply([_path_info(path, repository.files[path]) for path in paths if path in repository.files])
        case "preupload":
            return Reply({"files": [_mode(hub, repository, file) for file in json.loads(body)["files"]]})
        case "commit":
            return _committed(hub, name, [json.loads(line) for line in body.splitlines()])
    return _gone()


def _created(hub: FakeHub, asked: dict[str, Any]) -> Reply:
    name = f"{asked['organization'] or ACCOUNT}/{asked['name']}"
    if name in hub.repositories:
        return Reply({"error": "You already created this model repo", "url": f"{hub.url}/{name}"}, 409)
    hub.repositories[name] = HubRepository(asked.get("visibility") == "private")
    return Reply({"url": f"{hub.url}/{name}", "name": name})


def _path_info(path: str, file: HubFile) -> dict[str, Any]:
    large = {"lfs": {"oid": file.oid, "size": file.size, "pointerSize": 130}} if file.large else {}
    oid = hashlib.sha1(file.oid.encode()).hexdigest() if file.large else file.oid
    return {"type": "file", "path": path, "size": file.size, "oid": oid, **large}


def _mode(hub: FakeHub, repository: HubRepository, file: dict[str, Any]) -> dict[str, Any]:
    mode = "regular" if file["size"] <= _SMALL else "lfs"
    known = repository.files.get(file["path"])
    ignored = file["path"].endswith(hub.ignored)
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": ignored, "oid": known.oid if known else None}


def _batch(hub: FakeHub, asked: dict[str, Any]) -> Reply:
    found = []
    for one in asked["objects"]:
        upload = {"upload": {"href": f"{hub.url}/storage/{one['oid']}"}}
        found.append(dict(one) if one["oid"] in hub.stored else {**one, "actions": upload})
    return Reply({"transfer": "basic", "objects": found})


def _committed(hub: FakeHub, name: str, lines: list[dict[str, Any]]) -> Reply:
    repository, files = hub.repositories[name], {}
    for line in lines:
        value = line["value"]
        if line["key"] == "deletedFile" and repository.files.pop(value["path"], None) is None:
            return Reply({"error": "a file to be deleted is not there"}, 404)
        if line["key"] == "file":
            content = b64decode(value["content"])
            oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            files[value["path"]] = HubFile(oid, len(content), large=False)
        elif line["key"] == "lfsFile":
            if hub.stored.get(value["oid"]) != value["size"]:
                return Reply({"error": "a large file is not there"}, 400)
            files[value["path"]] = HubFile(value["oid"], value["size"], large=True)
    repository.files.update(files)
    repository.commits.append(hashlib.sha1(f"{name} {len(repository.commits)}".encode()).hexdigest())
    return Reply({"commitUrl": f"{hub.url}/{name}/commit/main", "commitOid": repository.commits[-1]})


@contextmanager
def serving_hub() -> Iterator[FakeHub]:
    """Such a Hub for the length of a `with` block."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._work("GET")

        def do_POST(self) -> None:
            self._work("POST")

        def do_PUT(self) -> None:
            self._work("PUT")

        def _work(self, method: str) -> None:
            request = f"{method} {self.path.partition('?')[0]}"
            hub.requests.append(request)
            fault = hub.fault(request)
            with suppress(BrokenPipeError, ConnectionResetError):  # the client did not wait
                if method == "PUT":
                    self._store(self.path.rpartition("/")[2], fault)
                else:
                    self._reply(self._answer(request, fault))

        def _answer(self, request: str, fault: Fault | None) -> Reply | None:
            token = self.headers["Authorization"]
            hub.tokens.add(token)
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if fault is not None:
                return _failing(fault, hub)
            if token != f"Bearer {TOKEN}":
                message = "Invalid credentials in Authorization header"
                return Reply({"error": message}, 401, {"X-Error-Message": message})
            return answer(hub, request, body)

        def _store(self, oid: str, fault: Fault | None) -> None:
            size = int(self.headers["Content-Length"])
            digest, left = hashlib.sha256(), size
            wanted = size // 2 if fault is not None and fault.status == 0 else 0
            while left > wanted and (chunk := self.rfile.read(min(_CHUNK, left - wanted))):
                digest.update(chunk)
                left -= len(chunk)
            hub.received[oid] = hub.received.get(oid, 0) + size - left
            if fault is not None:
                self._reply(_failing(fault, hub))
            elif digest.hexdigest() != oid:
                self._reply(Reply({"error": "the hash is another"}, 400))
            else:
                hub.stored[oid] = size
                self._reply(Reply({}))

        def _reply(self, reply: Reply | None) -> None:
            if reply is None:
                self.close_connection = True
                return
            content = json.dumps(reply.value).encode()
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        hub.url = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.released.set()
            listening.shutdown()
            thread.join()


def _failing(fault: Fault, hub: FakeHub) -> Reply | None:
    """The answer of a fault; None where the connection just ends."""
    if fault.status < 0:
        hub.reached.set()
        hub.released.wait(30)
    return Reply({"error": fault.message}, fault.status) if fault.status > 0 else None
