"""Servers as those who ask meet them: started once, shared, killed, replaced.

They are processes of their own that load no model; `test_real_server.py` has one that does.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from core.errors import ConfigError, ModelError
from core.jobs import supervisor
from core.jobs.folder import JobFolder
from core.paths import Home
from core.runs.run import Run
from core.serving.candidates import BEST, Candidate, adapter_candidate
from core.serving.endpoint import Endpoint
from core.serving.server import Server, by_start, look_at
from core.serving.servers import endpoint_of, ensure, ensure_scores, score_endpoint, servers, stop, wait_for
from tests.build_adapters import adapted_run, run_of, save_adapter, save_base
from tests.build_servers import LONG, lives, pid_of, stand_in_servers, started
from tests.stand_in_server import BROKEN, REFUSED, SLOW


@pytest.fixture(autouse=True)
def stand_ins(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with stand_in_servers(home, monkeypatch):
        yield


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_base(tmp_path / "base-1b")


@pytest.fixture
def run(home: Home, base: Path) -> Run:
    return adapted_run(home, base)


@pytest.fixture
def model(base: Path) -> Candidate:
    return Candidate(kind="model", model=str(base))


def known(endpoint: Endpoint) -> list[str]:
    """What the server behind an endpoint can be asked for."""
    answer = httpx.get(f"{endpoint.base_url}/models", headers={"Authorization": f"Bearer {endpoint.key}"})
    return [model["id"] for model in answer.raise_for_status().json()["data"]]


def test_a_model_is_asked_at_its_server_with_its_token(home: Home, model: Candidate) -> None:
    endpoint = wait_for(home, model, LONG)
    assert (endpoint.model, endpoint.local, known(endpoint)) == ("base", True, ["base"])
    assert httpx.get(f"{endpoint.base_url}/models").status_code == 401
    assert endpoint.key not in repr(endpoint)
    (server,) = servers(home)
    assert (server.model, server.state, server.error) == (model.model, "ready", "")
    assert server.memory_bytes() > 1_000_000 and server.seconds_idle < LONG
    assert server.users == [os.getpid()]


def test_two_who_ask_at_the_same_moment_share_one_server(home: Home, model: Candidate, run: Run) -> None:
    asked = [model, adapter_candidate(run)]
    with ThreadPoolExecutor() as pool:
        endpoints = list(pool.map(lambda candidate: wait_for(home, candidate, LONG), asked))
    assert len(by_start(home)) == 1
    assert endpoints[0].base_url == endpoints[1].base_url


def test_an_adapter_is_loaded_once_and_anew_when_its_files_were_replaced(home: Home, run: Run, base: Path) -> None:
    best, final = adapter_candidate(run, BEST), adapter_candidate(run)
    first, other = wait_for(home, best, LONG), wait_for(home, final, LONG)
    assert first.model.startswith(f"{run.id}@best-") and other.model.startswith(f"{run.id}@final-")
    assert endpoint_of(home, best) == first
    fresh = save_adapter(run.folder / "fresh", base)
    shutil.rmtree(run.best)
    fresh.rename(run.best)
    again = endpoint_of(home, best)
    assert again is not None
    assert known(again) == ["base", other.model, again.model], "the former one is let go"


def test_an_adapter_that_the_server_refuses_is_told_in_its_words(home: Home, run: Run) -> None:
    (run.adapter / REFUSED).touch()
    with pytest.raises(ModelError, match=f"{run.id}@final cannot be loaded: The rank is too large"):
        wait_for(home, adapter_candidate(run), LONG)


def test_a_damaged_adapter_starts_no_server(home: Home, run: Run) -> None:
    (run.adapter / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is damaged"):
        ensure(home, adapter_candidate(run))
    assert servers(home) == []


def test_a_server_has_room_for_the_largest_adapter_that_may_be_asked(home: Home, run: Run, base: Path) -> None:
    run_of(home, base, rank=48)
    server = started(home, Candidate(kind="model", model=str(base)))
    assert server.task.arguments()["max_rank"] == 48
    save_adapter(run.adapter, base, rank=64)
    larger = ensure(home, adapter_candidate(run))
    assert larger is not None and larger.task.arguments()["max_rank"] == 64
    assert not lives(pid_of(server)), "one that is too small for the adapter makes room"


def test_a_killed_server_is_told_of_and_started_anew(home: Home, model: Candidate) -> None:
    server = started(home, model)
    before = endpoint_of(home, model)
    os.kill(pid_of(server), signal.SIGKILL)
    supervisor.wait(server.task, LONG)
    with pytest.raises(ModelError, match=r"The server of .*base-1b was ended from outside"):
        endpoint_of(home, model)
    assert [server.state for server in servers(home)] == ["failed"]
    after = wait_for(home, model, LONG)
    assert before is not None and after.key != before.key
    assert [server.state for server in servers(home)] == ["ready"]


def test_a_server_that_stops_answering_without_ending_is_named(
    home: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(home, adapter_candidate(run), LONG)

    def fail(*_: object, **__: object) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx.Client, "get", fail)
    with pytest.raises(ModelError, match=r"does not answer. Stop it and ask again"):
        endpoint_of(home, adapter_candidate(run))


def test_a_server_that_cannot_load_its_model_says_why_and_is_tried_again(
    home: Home, model: Candidate, base: Path
) -> None:
    (base / BROKEN).touch()
    with pytest.raises(ModelError, match=r"The model cannot be loaded. Choose another one."):
        wait_for(home, model, LONG)
    (base / BROKEN).unlink()
    assert wait_for(home, model, LONG).model == "base"


def test_how_far_a_server_is_can_be_seen_while_it_loads(home: Home, model: Candidate, base: Path) -> None:
    (base / SLOW).touch()
    seen: list[Server] = []

    def look(server: Server) -> None:
        seen.append(server)
        if server.done:
            (base / SLOW).unlink(missing_ok=True)

    wait_for(home, model, LONG, look)
    assert {"loading"} == {server.state for server in seen}
    assert ("loading the model", 1, 4) in {(server.phase, server.done, server.total) for server in seen}


def test_whoever_does_not_want_to_wait_longer_ends_nothing(home: Home, model: Candidate, base: Path) -> None:
    (base / SLOW).touch()
    with pytest.raises(ModelError, match="base-1b did not answer within 0 s: its model is still loading"):
        wait_for(home, model, 0)
    (server,) = servers(home)
    assert server.state == "loading" and endpoint_of(home, model) is None


def test_a_stopped_server_is_told_of_and_started_anew(home: Home, model: Candidate) -> None:
    server = started(home, model)
    stop(server)
    assert look_at(server.task).state == "stopped", "at once, for whoever looks"
    with pytest.raises(ModelError, match=r"has ended: it was asked to stop. Ask again"):
        endpoint_of(home, model)
    again = ensure(home, model)
    assert again is not None and again.task != server.task
    assert not lives(pid_of(server))


def test_a_model_that_nobody_has_started_is_not_waited_for(home: Home, model: Candidate) -> None:
    with pytest.raises(ModelError, match="has not been started"):
        endpoint_of(home, model)


def test_the_scorers_have_a_server_of_their_own(home: Home, model: Candidate) -> None:
    started(home, model)
    server = ensure_scores(home)
    while (endpoint := score_endpoint(home)) is None:
        assert look_at(server.task).live
    assert endpoint.base_url.startswith("http://127.0.0.1:") and not endpoint.base_url.endswith("/v1")
    assert ensure_scores(home).task == server.task
    assert {server.model for server in servers(home)} == {model.model, "scores"}


def test_a_remote_endpoint_needs_no_server(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    remote = Candidate(kind="endpoint", model="gpt", url="https://api.openai.com/v1")
    assert ensure(home, remote) is None
    assert endpoint_of(home, remote) == Endpoint("https://api.openai.com/v1", "a key", "gpt", local=False)
    stranger = Candidate(kind="endpoint", model="gpt", url="https://stranger.example/v1")
    with pytest.raises(ConfigError):
        endpoint_of(home, stranger)


def test_the_address_of_a_dead_server_is_never_used(home: Home, model: Candidate) -> None:
    server = started(home, model)
    os.kill(pid_of(server), signal.SIGKILL)
    supervisor.wait(server.task, LONG)
    assert (server.task.folder / "address.json").is_file(), "nobody could remove it"
    with pytest.raises(ModelError, match="was ended from outside"):
        endpoint_of(home, model)
    assert JobFolder(server.task.folder).status().state == "interrupted"
