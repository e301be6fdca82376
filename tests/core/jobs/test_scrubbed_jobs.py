"""What a job leaves behind holds no key, whatever it was told and whatever it met."""

from __future__ import annotations

import pytest

from core.jobs.supervisor import start_task, wait
from core.paths import Home


def test_neither_the_log_nor_the_error_of_a_job_repeats_a_key(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    shaped, own = "hf_" + "aB3" * 8, "opensesame-42"
    monkeypatch.setenv("OWN_API_KEY", own)
    source = {"origin": "file", "path": f"/nowhere/{shaped} {own}.csv"}
    task = start_task(home, "import", source)
    status = wait(task, 60)
    assert status.state == "failed"
    assert "***" in status.error
    for text in (status.error, task.log.read_text(), (task.folder / "status.json").read_text()):
        assert shaped not in text
        assert own not in text
