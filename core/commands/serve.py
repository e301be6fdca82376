"""The verb `serve`: keep a model, or a run's adapter, warm and answer over HTTP, until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.commands.verbs import add_verb
from core.errors import ConfigError, ModelError
from core.json_lines import json_line
from core.paths import Home, write_bytes
from core.ports import refuse_taken
from core.runs.run import find_run
from core.serving.candidates import (
    FINAL,
    Candidate,
    adapter_candidate,
    is_gguf,
    model_candidate,
    parse_candidate,
    title,
)
from core.serving.endpoint import Endpoint
from core.serving.lifetime import use
from core.serving.servers import Server, endpoint_of, ensure, leave_server, live_server, look_at

_LOOK_SECONDS = 0.3
_EXAMPLE = "What are the first signs of sepsis?"
_HEADER = "authorization"
"""The file in the server's folder that holds the header with its token, for the line to try it with."""


def add_serve_verb(verbs: Any) -> None:
    """Add the verb to what `add_subparsers` returned."""
    parser = add_verb(verbs, "serve", serve, "Answer over HTTP in OpenAI's protocol, on this machine, until Ctrl-C.")
    parser.add_argument(
        "model", metavar="NAME", nargs="?", help="embedded name, local directory, Hugging Face id or .gguf file"
    )
    parser.add_argument(
        "--run", metavar="RUN[@CHECKPOINT]", help="a run whose adapter answers; 'last' for the newest, @best or @STEP"
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="where to answer (default: any free port)")


def serve(options: argparse.Namespace, home: Home) -> Any:
    """Start or find the server, say where it answers, and stay as its user until Ctrl-C.

    Raises:
        ConfigError: the options contradict each other, or the port is taken.
        StudioError: what is asked for cannot be served, or its server has ended.
    """
    candidate = _candidate(options, home)
    if options.port and live_server(home, candidate) is None:
        refuse_taken(options.port)
    server = ensure(home, candidate, options.port)
    assert server is not None  # no remote endpoint can be named here
    use(server.task, stay=True)
    try:
        endpoint = _ready(home, candidate, server)
        _refuse_other_port(endpoint, options.port)
        _say(candidate, endpoint, server, options)
        while (server := look_at(server.task)).live:
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        print("Stopping.", file=sys.stderr)
    finally:
        ended = leave_server(server)
        if ended:
            (server.task.folder / _HEADER).unlink(missing_ok=True)
    if server.error:
        raise ModelError(server.error)
    print("The server has ended." if ended else "The server goes on, since others use it.", file=sys.stderr)
    return None


def _candidate(options: argparse.Namespace, home: Home) -> Candidate:
    if options.run is None:
        if options.model is None:
            raise ConfigError("Nothing to serve is named. Name a model, or give --run RUN.")
        if is_gguf(options.model):
            return parse_candidate(f"gguf:{options.model}", home)
        return model_candidate(options.model, home)
    run_id, _, checkpoint = options.run.partition("@")
    chosen = adapter_candidate(find_run(home, run_id), checkpoint or FINAL)
    if options.model not in (None, chosen.model):
        raise ConfigError(
            f"{chosen.run} was trained on {chosen.model}, not on {options.model}. Leave the name out: --run is enough."
        )
    return chosen


def _ready(home: Home, candidate: Candidate, server: Server) -> Endpoint:
    """Where the candidate answers, once it does; on the way it is said on standard error what its server does."""
    phase = ""
    while (endpoint := endpoint_of(home, candidate)) is None:
        status = look_at(server.task)
        if status.phase not in ("", phase):
            phase = status.phase
            print(f"{phase} …", file=sys.stderr, flush=True)
        time.sleep(_LOOK_SECONDS)
    return endpoint


def _refuse_other_port(endpoint: Endpoint, port: int) -> None:
    if port and urlsplit(endpoint.base_url).port != port:
        raise ConfigError(
            f"The model answers at {endpoint.base_url} already, for others who use it. Leave --port out to share that "
            "server."
        )


def _say(candidate: Candidate, endpoint: Endpoint, server: Server, options: argparse.Namespace) -> None:
    """Where it answers, with which token, and a line to try it with; the token is only ever shown here."""
    if options.json:
        print(json_line(asdict(endpoint) | {"candidate": str(candidate)}), flush=True)
        return
    asked = {"model": endpoint.model, "max_tokens": 100, "messages": [{"role": "user", "content": _EXAMPLE}]}
    header = shlex.quote(f"@{_header_file(endpoint, server.task.folder)}")
    headers = f'-H {header} -H "Content-Type: application/json"'
    print(
        f"{title(candidate)} answers until Ctrl-C.",
        f"Address  {endpoint.base_url}",
        f"Token    {endpoint.key}",
        f"Model    {endpoint.model}",
        f"Try it:  curl {endpoint.base_url}/chat/completions {headers} -d {shlex.quote(json.dumps(asked))}",
        sep="\n",
        flush=True,
    )


def _header_file(endpoint: Endpoint, folder: Path) -> Path:
    """The header with the token in a file that nobody else may read: all users of a machine see the arguments of a
    command."""
    file = folder / _HEADER
    write_bytes(file, f"Authorization: Bearer {endpoint.key}\n".encode())  # readable by its owner only, from the start
    return file
