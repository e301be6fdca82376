"""How a GGUF file answers: by llama.cpp, in a process of its own that may crash alone, with a limit on its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from core.engine.export.distributions import KEPT, Likeliest
from core.engine.export.parity_asked import COMPARED, EndToken, Question, Written
from core.engine.serving.gguf import PACKAGE, Llama, running
from core.engine.serving.gguf_file import Slots, read_gguf
from core.errors import ModelError
from core.prompts import begun_turn

SECONDS = 1800.0
"""How long one file may take to be loaded and to answer."""

_FORCE = 1e4
"""What is added to the logit of a token that is to be chosen in any case."""
_GREEDY = {"temperature": 0, "samplers": ["temperature"], "return_tokens": True, "cache_prompt": True}
_NO_PROBABILITY = -100.0
"""The logarithm of a probability that llama.cpp tells as none."""


@dataclass
class LlamaForm:
    """A GGUF file that llama.cpp has loaded.

    Attributes:
        name: of the file, for messages.
        deadline: until when it may answer, in seconds of the monotonic clock.
        end: the token that ends the reference's answers.
    """

    client: httpx.Client
    name: str
    deadline: float
    end: int
    _prompt: Sequence[int] = field(default=())
    """A prompt that it has read, to try the end token behind."""
    _heard: dict[tuple[int, ...], tuple[tuple[int, ...], list[Likeliest]]] = field(default_factory=dict)
    """By prompt: the first tokens that it wrote, and what was likely at the place of each."""

    def write(self, questions: Sequence[Question], most: int, told: Callable[[], None]) -> list[Written]:
        """See `core.engine.export.parity_asked.Answering`."""
        written = []
        for question in questions:
            told()
            prompt = self._prompt_ids(question)
            answer = self._complete(prompt, most, KEPT)
            ids = tuple(int(one) for one in answer["tokens"])
            self._prompt = prompt
            if len(answer["completion_probabilities"]) == len(
                ids
            ):  # there are none of tokens that are half a character
                self._heard[tuple(prompt)] = (ids[:COMPARED], _likeliest(answer)[:COMPARED])
            written.append(Written(tuple(prompt), ids, str(answer["content"]), answer["stop_type"] == "eos"))
        return written

    def distributions(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[Likeliest]:
        """See `core.engine.export.parity_asked.Answering`.

        Where its own answer begins with the same tokens, what it said while it wrote them is taken; every further
        place is asked for by itself, which costs llama.cpp one token each.
        """
        found = self._while_writing(prompt_ids, ids)
        for place in range(len(found), len(ids)):
            # Probabilities are told before anything is forced, but not with a token that is half a character: the end
            # token is none.
            forced = [[self.end, _FORCE]]
            found += _likeliest(self._complete([*prompt_ids, *ids[:place]], 1, KEPT, logit_bias=forced))
        return found

    def end_token(self, end_text: str) -> EndToken:
        """See `core.engine.export.parity_asked.Answering`; whether an answer stops there is tried."""
        text = str(self._ask("GET", "/props")["eos_token"])
        forced = self._complete(self._prompt, 2, 0, logit_bias=[[self.end, _FORCE]])
        return EndToken(text, text == end_text, forced["stop_type"] == "eos")

    def _while_writing(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[Likeliest]:
        own, heard = self._heard.get(tuple(prompt_ids), ((), []))
        pairs = enumerate(zip(own, ids, strict=False))
        differs = next((place for place, (one, other) in pairs if one != other), len(ids))
        return heard[: min(differs + 1, len(ids))]

    def _prompt_ids(self, question: Question) -> list[int]:
        """What llama.cpp makes of a conversation, with the chat template and the tokenizer in the file."""
        begun = bool(begun_turn(question.conversation)[1])
        turns = {"continue_final_message": begun, "add_generation_prompt": not begun}
        text = self._ask("POST", "/apply-template", {"messages": question.conversation, **turns})["prompt"]
        asked = {"content": text, "add_special": True, "parse_special": True}  # as it does with a chat
        return [int(one) for one in self._ask("POST", "/tokenize", asked)["tokens"]]

    def _complete(self, prompt: Sequence[int], most: int, kept: int, **further: Any) -> Any:
        asked = {"prompt": list(prompt), "n_predict": most, "n_probs": kept, **_GREEDY, **further}
        return self._ask("POST", "/completion", asked)

    def _ask(self, method: str, path: str, content: Any = None) -> Any:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _too_slow(self.name)
        try:
            answer = self.client.request(method, path, json=content, timeout=left)
            answer.raise_for_status()
            return answer.json()
        except httpx.TimeoutException as error:
            raise _too_slow(self.name) from error
        except httpx.HTTPStatusError as error:
            raise ModelError(f"llama.cpp refused to answer with {self.name}: {error.response.text[:300]}") from error
        except httpx.HTTPError as error:
            raise ModelError(
                f"llama.cpp ended while it answered with {self.name} ({type(error).__name__}). Export the file again."
            ) from error


@contextmanager
def opened(file: Path, end: int, context: int, scratch: Path, told: Callable[[], None]) -> Iterator[LlamaForm]:
    """A GGUF file for the length of a `with` block.

    Args:
        end: the token that ends the reference's answers.
        context: tokens that the longest question and its answer take.
        scratch: a folder for llama.cpp's log.
        told: called while it loads; it may raise to end that.

    Raises:
        ModelError: llama.cpp is not installed, cannot load it, or takes too long.
        OutOfMemory: memory ran out while it loaded.
    """
    if find_spec("xllamacpp") is None:
        raise ModelError(f"GGUF files are run by llama.cpp, which is not installed. Install {PACKAGE}.")
    deadline = time.monotonic() + SECONDS

    def loading(phase: str, done: int = 0, total: int = 0) -> None:
        told()
        if time.monotonic() > deadline:
            raise _too_slow(file.name)

    with running(read_gguf(file), Slots(1, context), scratch, loading) as llama, _client(llama) as client:
        yield LlamaForm(client, file.name, deadline, end)


def _client(llama: Llama) -> httpx.Client:
    """Asks this machine alone, whatever proxy the environment names."""
    return httpx.Client(base_url=llama.url, headers={"Authorization": f"Bearer {llama.token}"}, trust_env=False)


def _too_slow(name: str) -> ModelError:
    return ModelError(
        f"llama.cpp was not done with {name} after {SECONDS / 60:.0f} minutes. Ask fewer questions, or try again when "
        "nothing else computes on this machine."
    )


def _likeliest(answer: Any) -> list[Likeliest]:
    """What was likely at each place of an answer."""
    found = []
    for place in answer.get("completion_probabilities", []):
        top = place["top_logprobs"]
        logprobs = [_NO_PROBABILITY if one["logprob"] is None else one["logprob"] for one in top]
        ids = np.array([one["id"] for one in top], dtype=np.int32)
        found.append(Likeliest(ids, np.maximum(np.array(logprobs, dtype=np.float32), _NO_PROBABILITY)))
    return found
