"""`python -m core serve`: in the foreground, with an address to ask, until Ctrl-C."""

from __future__ import annotations

import json
import shlex
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.commands import serve
from core.commands.cli import main
from core.paths import Home
from core.runs.run import Run
from core.serving.candidates import Candidate
from core.serving.lifetime import use
from core.serving.server import by_start, look_at
from core.serving.servers import ensure, servers, stop, wait_for
from tests.build_adapters import adapted_run, save_base
from tests.build_servers import LONG, stand_in_servers


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
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something done once the server answers and its address has been said."""

    def set_up(act: Callable[[], object]) -> None:
        say = serve._say

        def said(*arguments: Any) -> None:
            say(*arguments)
            act()

        monkeypatch.setattr(serve, "_say", said)

    return set_up


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_model_is_served_until_ctrl_c(
    home: Home, base: Path, meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def ask_and_interrupt() -> None:
        said.update(json.loads(capsys.readouterr().out))
        headers = {"Authorization": f"Bearer {said['key']}"}
        assert httpx.get(f"{said['base_url']}/models", headers=headers).is_success
        interrupt()

    said: dict[str, Any] = {}
    meanwhile(ask_and_interrupt)
    assert main(["serve", str(base), "--json", "--home", str(home.root)]) == 0
    assert (said["model"], said["candidate"]) == ("base", f"model:{base}")
    assert "The server has ended." in capsys.readouterr().err
    assert servers(home) == []


def test_a_runs_checkpoint_is_served_with_a_line_to_try_it_with(
    home: Home, run: Run, meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    meanwhile(interrupt)
    assert main(["serve", "--run", "last@best", "--home", str(home.root)]) == 0
    said = capsys.readouterr().out
    assert f"{run.id}, best on validation answers until Ctrl-C." in said
    assert "curl http://127.0.0.1:" in said and f'"model": "{run.id}@best-' in said


def test_the_line_to_try_it_with_works_and_does_not_hold_the_token(
    home: Home, base: Path, meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def try_and_interrupt() -> None:
        said.extend(capsys.readouterr().out.splitlines())
        line = shlex.split(next(line for line in said if line.startswith("Try it:")).removeprefix("Try it:"))
        (file,) = [Path(part[1:]) for part in line if part.startswith("@")]
        files.append(file)
        token = next(line for line in said if line.startswith("Token")).split()[1]
        assert token not in " ".join(line) and file.read_text() == f"Authorization: Bearer {token}\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        interrupt()

    said: list[str] = []
    files: list[Path] = []
    meanwhile(try_and_interrupt)
    assert main(["serve", str(base), "--home", str(home.root)]) == 0
    assert files and not files[0].exists(), "the server has ended, and its token with it"


def test_a_server_that_others_use_goes_on(
    home: Home, base: Path, meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    candidate = Candidate(kind="model", model=str(base))
    wait_for(home, candidate, LONG)

    def another_studio_comes() -> None:
        (task,) = by_start(home)
        monkey.setattr("core.serving.servers.leave", lambda task: None)  # this process is the other one as well
        use(task)
        interrupt()

    with pytest.MonkeyPatch.context() as monkey:
        meanwhile(another_studio_comes)
        assert main(["serve", str(base), "--home", str(home.root)]) == 0
    assert "The server goes on, since others use it." in capsys.readouterr().err
    assert [server.state for server in servers(home)] == ["ready"]


def test_a_server_that_ends_by_itself_is_told_of(
    home: Home, base: Path, meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    meanwhile(lambda: stop(servers(home)[0]))
    assert main(["serve", str(base), "--home", str(home.root)]) == 2
    assert "has ended: it was asked to stop" in capsys.readouterr().err


def test_a_port_that_is_taken_is_refused(home: Home, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(base), "--port", str(port), "--home", str(home.root)]) == 2
    assert f"Port {port} cannot be used (Address already in use). Choose another one" in capsys.readouterr().err
    assert by_start(home) == []


def test_a_port_is_kept_to(
    home: Home, base: Path, meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    meanwhile(interrupt)
    assert main(["serve", str(base), "--port", str(port), "--home", str(home.root)]) == 0
    assert f"http://127.0.0.1:{port}/v1" in capsys.readouterr().out


def test_a_server_at_another_port_is_not_taken_away_from_its_users(
    home: Home, base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ensure(home, Candidate(kind="model", model=str(base)))
    assert server is not None
    monkeypatch.setattr("core.serving.servers.leave", lambda task: None)  # this process is the other user as well
    assert main(["serve", str(base), "--port", "1", "--home", str(home.root)]) == 2
    assert "already, for others who use it. Leave --port out" in capsys.readouterr().err
    assert look_at(server.task).live


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Nothing to serve is named"),
        (["another-model", "--run", "last"], "Leave the name out: --run is enough"),
        (["--run", "last@30"], "has no checkpoint of step 30"),
        (["--run", "nowhere"], "There is no run 'nowhere'"),
        (["no.gguf"], "is no GGUF file"),
    ],
)
def test_what_cannot_be_served_is_refused(
    home: Home, run: Run, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments, "--home", str(home.root)]) == 2
    assert sentence in capsys.readouterr().err
    assert by_start(home) == []
