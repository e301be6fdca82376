"""What keeps a process's keys from other processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.paths import PROJECT

PROGRAM = """
import ctypes, os
from core.secrets import hide_environment
libc = ctypes.CDLL(None)
ordinary = libc.prctl(3, 0, 0, 0, 0)
hide_environment()
print(ordinary, libc.prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/<id>/environ")
def test_a_process_can_close_itself_to_others_of_the_same_user() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0"]
