"""What a candidate is sent: the same prompt for all, in the form that each of them can read."""

from __future__ import annotations

from core.chat import ChatModel
from core.config import PromptConfig
from core.paths import Home
from core.prompts import Message, begun_turn, messages
from core.serving.candidates import Candidate


def conversation(home: Home, candidate: Candidate, prompt: PromptConfig, question: str) -> list[Message]:
    """The turns of one question.

    A local model gets them as it did in training: with the system text in front of the first question where its chat
    template takes none, and with its own turn begun where the prompt says so. A remote endpoint cannot go on with a
    begun turn. A GGUF file brings a template of its own, which its server applies.

    Raises:
        ModelError: the model cannot be found, or has no chat template.
    """
    turns = messages(prompt, question)
    if candidate.kind == "endpoint":
        return begun_turn(turns)[0]
    if candidate.kind == "gguf":
        return turns
    return ChatModel.open(candidate.model, home).template.fit(turns)
