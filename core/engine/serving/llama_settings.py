"""What the process with llama.cpp is told by the one that starts it."""

from __future__ import annotations

from dataclasses import dataclass

TOKEN = "GRPO_STUDIO_LLAMA_TOKEN"
"""The environment variable that brings the token: other users can read a command line, but not this."""


@dataclass(frozen=True)
class LlamaSettings:
    """What llama.cpp is told.

    Attributes:
        model: the GGUF file.
        slots: answers that are written at once.
        context: tokens of question and answer that each of them has room for.
        threads: that compute the next token of one answer.
        batch_threads: that read questions, and compute the next tokens of several answers.
        address: the file that gets the server's URL once it answers.
        log: the file that gets what llama.cpp says.
    """

    model: str
    slots: int
    context: int
    threads: int
    batch_threads: int
    address: str
    log: str
