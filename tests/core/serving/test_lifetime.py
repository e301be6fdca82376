"""When a server ends: nobody asks it, nobody who uses it lives, or it is told to, even while it cannot listen."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.jobs import server_guard
from core.jobs.folder import JobFolder, Status
from core.jobs.server_guard import ADDRESS, living_users
from core.serving import lifetime
from core.serving.lifetime import (
    IDLE_MINUTES,
    STOPPED,
    Lifetime,
    leave,
    use,
    write_address,
)
from tests.build_servers import ended_process

MINUTE = 60.0


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    (tmp_path / "control").mkdir()
    job = JobFolder(tmp_path)
    job.write_status(Status(state="running"))
    return job


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the lifetime sees, in seconds since 1970."""
    now = [time.time()]
    monkeypatch.setattr(lifetime.time, "time", lambda: now[0])
    return now


def test_a_server_that_nobody_asks_ends_after_its_idle_time(job: JobFolder, clock: list[float]) -> None:
    use(job)
    life, asked = Lifetime(job.folder), clock[0]
    assert not life.over(asked)
    clock[0] += 9 * MINUTE
    assert not life.over(asked)
    clock[0] += 2 * MINUTE
    assert life.over(asked)
    assert life.reason == "nobody asked it anything for 10 minutes"
    assert job.stop_request.exists(), "its guard has to know"


def test_a_question_begins_the_idle_time_anew_and_is_seen_from_outside(job: JobFolder, clock: list[float]) -> None:
    use(job)
    life = Lifetime(job.folder)
    life.over(clock[0])
    clock[0] += 9 * MINUTE
    assert not life.over(clock[0])
    assert (job.folder / lifetime.ASKED).stat().st_mtime == pytest.approx(clock[0])
    clock[0] += 9 * MINUTE
    assert not life.over(clock[0] - 9 * MINUTE)


def test_idle_time_counts_from_when_it_answers_not_from_when_it_was_started(job: JobFolder, clock: list[float]) -> None:
    use(job)
    life, started = Lifetime(job.folder), clock[0]
    clock[0] += 60 * MINUTE  # a large model was loaded
    assert not life.over(started)


def test_the_idle_time_can_be_set_and_must_be_a_number(
    job: JobFolder, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(job)
    monkeypatch.setenv(IDLE_MINUTES, "0.5")
    life, asked = Lifetime(job.folder), clock[0]
    assert not life.over(asked)
    clock[0] += MINUTE
    assert life.over(asked)
    for wrong in ("soon", "0", "-1", "nan"):
        monkeypatch.setenv(IDLE_MINUTES, wrong)
        with pytest.raises(ConfigError, match=f"{IDLE_MINUTES} is '{wrong}' and must be a number of minutes above 0"):
            Lifetime(job.folder)


def test_a_user_who_wants_it_to_stay_keeps_it_without_questions(job: JobFolder, clock: list[float]) -> None:
    use(job, stay=True)
    use(job)  # as every question does; it takes the wish back no more than it gives it
    life, asked = Lifetime(job.folder), clock[0]
    life.over(asked)
    clock[0] += 60 * MINUTE
    assert not life.over(asked)


def test_a_server_ends_when_its_last_user_has_ended(job: JobFolder) -> None:
    gone = ended_process()
    use(job)
    (job.folder / "users" / f"{gone.pid}-{gone.create_time()}").touch()
    life = Lifetime(job.folder)
    assert living_users(job.folder) == [os.getpid()]
    assert not life.over(time.time())
    leave(job)
    assert life.over(time.time())
    assert life.reason == "nobody uses it any more"


def test_a_server_just_started_waits_a_moment_for_its_first_user(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Lifetime(job.folder)
    assert not life.over(time.time())
    monkeypatch.setattr(server_guard, "_GRACE_SECONDS", -1.0)
    assert life.over(time.time())


def test_a_request_to_stop_ends_it(job: JobFolder) -> None:
    use(job)
    job.stop_request.touch()
    life = Lifetime(job.folder)
    assert life.over(time.time())
    assert life.reason == STOPPED


def test_only_its_owner_can_read_the_token(job: JobFolder) -> None:
    write_address(job.folder, "http://127.0.0.1:1", "token")
    assert stat.S_IMODE((job.folder / ADDRESS).stat().st_mode) == 0o600
