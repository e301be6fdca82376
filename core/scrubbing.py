"""Keeps keys and tokens out of logs, at the end that writes them.

What a process has in its environment is known; what it is given otherwise, such as a key in an address or in the error
of a library, is told by its shape.
"""

from __future__ import annotations

import re
import sys
from threading import RLock
from typing import Any, TextIO

from core.secrets import begun_secret, masked

_SHAPES = re.compile(
    r"""
      \bhf_[A-Za-z0-9]{16,}                                  # Hugging Face
    | \bsk-[A-Za-z0-9_-]{16,}                                # OpenAI and those who copy its keys
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,}    # GitHub
    | \bglpat-[A-Za-z0-9_-]{16,}                             # GitLab
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}                       # Slack
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                          # AWS
    | \bAIza[A-Za-z0-9_-]{30,}                               # Google
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+  # JSON web tokens
    | (?<=://)[^\s/@:]{1,200}:[^\s/@]{1,200}(?=@)            # user and password in an address
    | (?i:(?<=\bbearer\ )[A-Za-z0-9._~+/=-]{8,})             # headers
    """,
    re.VERBOSE,
)
_LONGEST_LINE = 65_536
"""Text without the end of a line is written after so many characters, or it would fill the memory."""


def scrubbed(text: str) -> str:
    """`text` without this process's secrets and without what looks like one.

    >>> scrubbed("GET https://anna:pass@models.example.org/v1, Authorization: Bearer abcdef123456")
    'GET https://***@models.example.org/v1, Authorization: Bearer ***'
    """
    return _SHAPES.sub("***", masked(text))


class ScrubbedStream:
    """A text stream in front of another one that lets whole lines through, scrubbed.

    Everything but writing, such as the file's number, is the other stream's. What a library written in another language
    writes to that file, and what a child process does, passes by.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self._turn = RLock()  # threads print at the same time; one that is interrupted by a signal may print there, too

    def write(self, text: str) -> int:
        with self._turn:
            self._line += text
            end = max(self._line.rfind("\n"), self._line.rfind("\r")) + 1
            if not end and len(self._line) > _LONGEST_LINE:
                end = len(self._line)
            self._pass_on(end)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        """Write a begun line as well: whoever asks for it wants it to be seen, as before a crash.

        Where it ends in the middle of a secret of the environment, that part waits for the rest.
        """
        with self._turn:
            self._pass_on(len(self._line) - begun_secret(self._line))
            self._stream.flush()

    def _pass_on(self, end: int) -> None:
        """Write the begun line up to `end`."""
        if end:
            whole, self._line = self._line[:end], self._line[end:]
            self._stream.write(scrubbed(whole))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def scrub_output() -> None:
    """From now on what this process prints, and what it logs by streams that are opened later, is scrubbed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, ScrubbedStream):
            setattr(sys, name, ScrubbedStream(stream))
