"""Writes many answers at once: one thread runs the model and takes all of them forward together, token by token.

A new question is read in pieces between two tokens of the answers that are being written, so nobody waits for somebody
else's long prompt, and where its prompt begins like one that has been read already, only the rest is read. An answer
that ends leaves at once.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
from torch import Tensor

from core.engine.policy import Policy
from core.engine.serving.adapters import Adapters
from core.engine.serving.answers import Answer, Ended, Event, Failed, Question, Written
from core.engine.serving.side_by_side import reader_for
from core.engine.serving.written_text import WrittenText
from core.errors import lacks_memory

LARGEST_BATCH = 32
"""Answers that are written at once; further questions wait for one of them to end."""
_WHOLE_PROMPT, _PIECE = 1024, 128
"""Tokens of a prompt that are read at once: while nobody waits for a next token, and while somebody does."""
_WORTH_COPYING = 16
"""Tokens that two prompts must have in common for the second one to begin with what was read of the first."""

_NO_MEMORY = (
    "There was not enough memory to write this answer. Ask for fewer answers at once, ask something shorter, or close "
    "other programs."
)
_DEFECT = "The server met an error it does not know while it wrote this answer. Its worker.log has more."

_GONE = "The adapter that was asked has just been unloaded. Load it and ask again."

Result = TypeVar("Result")


class Engine:
    """The thread that runs a model."""

    def __init__(self, policy: Policy, adapters: Adapters) -> None:
        self._tokenizer = policy.tokenizer
        self._adapters = adapters
        self._device = policy.model.device
        self._reader = reader_for(policy.model.eval())
        self._changed = threading.Condition()
        self._closed = False
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._waiting: deque[Answer] = deque()
        self._answers: list[Answer] = []
        self._before: dict[str, tuple[Sequence[int], Any]] = {}  # of each adapter the prompt that was read last
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def ask(self, question: Question) -> Answer:
        """Have a question answered; setting the answer's `cancelled` breaks it off."""
        answer = Answer(question, self._reader.past(), WrittenText(self._tokenizer, question.stops))
        with self._changed:
            self._waiting.append(answer)
            self._changed.notify()
        return answer

    def call(self, function: Callable[[], Result]) -> Future[Result]:
        """Have something done to the model between two tokens."""
        future: Future[Result] = Future()
        with self._changed:
            self._calls.append((function, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """End the thread; answers that are being written stay unfinished."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._next():
            for function, future in self._take_calls():
                _done(function, future)
            with self._failing(self._answers):
                self._step()
                self._adapters.forget_retired([answer.question.adapter for answer in self._answers])
                self._before = {name: kept for name, kept in self._before.items() if self._adapters.known(name)}

    def _next(self) -> bool:
        """Wait until there is something to do; False when there will be nothing any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._calls or self._waiting or self._answers)
            while self._waiting and len(self._answers) < LARGEST_BATCH:
                self._answers.append(self._waiting.popleft())
            return not self._closed

    def _take_calls(self) -> list[tuple[Callable[[], Any], Future[Any]]]:
        with self._changed:
            calls = list(self._calls)
            self._calls.clear()
        return calls

    def _step(self) -> None:
        """One token for every answer that is being written, and a piece of the shortest prompt that is being read."""
        self._answers = [answer for answer in self._answers if not answer.cancelled.is_set()]
        for answer in [one for one in self._answers if not self._adapters.known(one.question.adapter)]:
            self._leave(answer, Failed(404, _GONE))
        # An answer whose prompt has been read holds one unread token: the one that was written last.
        writing = [answer for answer in self._answers if answer.tokens]
        reading = [answer for answer in self._answers if not answer.tokens]
        if writing:
            self._advance(writing, 1)
        if reading:
            shortest = min(reading, key=lambda answer: len(answer.unread))
            self._advance([shortest], _PIECE if writing else _WHOLE_PROMPT)

    def _skip_what_was_read(self, answer: Answer) -> None:
        """Begin with what an earlier prompt has in common with this one, such as instructions and worked examples."""
        if answer.read:
            return
        prompt, adapter = answer.question.prompt, answer.question.adapter
        others = [(o.question.prompt[: o.read], o.past) for o in self._answers if o.question.adapter == adapter]
        if adapter in self._before:
            others.append(self._before[adapter])
        length, past = max(
            ((_common(prompt[:-1], other), past) for other, past in others), key=lambda one: one[0], default=(0, None)
        )
        past = self._reader.beginning(past, length) if length >= _WORTH_COPYING else None
        if past is not None:
            answer.past, answer.read, answer.unread = past, length, list(prompt[length:])

    def _advance(self, answers: Sequence[Answer], most: int) -> None:
        """Read the next tokens of each, `most` or what there is; those that have read all write a token more."""
        with self._failing(answers), torch.inference_mode():
            if len(answers) == 1:
                self._skip_what_was_read(answers[0])
            logits = self._read(answers, min(most, len(answers[0].unread)))
            for answer, row in zip(answers, logits, strict=True):
                if not answer.unread:
                    self._write(answer, row)

    @contextmanager
    def _failing(self, answers: Sequence[Answer]) -> Iterator[None]:
        """Let these answers fail for an error, whatever it is, and not the thread, on which all others depend."""
        try:
            yield
        except Exception as error:
            lacking = lacks_memory(error)
            if not lacking:
                traceback.print_exc()
            for answer in [one for one in answers if one in self._answers]:  # the others have ended
                self._leave(answer, Failed(503, _NO_MEMORY) if lacking else Failed(500, _DEFECT))
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _read(self, answers: Sequence[Answer], length: int) -> Tensor:
        ids = torch.tensor([answer.unread[:length] for answer in answers], device=self._device)
        adapters = self._adapters.of_rows([answer.question.adapter for answer in answers])
        logits = self._reader.read(self._adapters.model, ids, [answer.past for answer in answers], **adapters)
        for answer in answers:
            del answer.unread[:length]
            answer.read += length
            if answer.read == len(answer.question.prompt):
                self._remember(answer)
        return logits

    def _remember(self, answer: Answer) -> None:
        """Keep what has been read of a prompt for the next one like it."""
        prompt = answer.question.prompt
        past = self._reader.beginning(answer.past, len(prompt)) if len(prompt) >= _WORTH_COPYING else None
        if past is not None:
            self._before[answer.question.adapter] = (prompt, past)

    def _write(self, answer: Answer, logits: Tensor) -> None:
        token = answer.next_token(logits)
        answer.tokens += 1
        answer.unread = [token]
        text = answer.text.add(token)
        ended = token == self._tokenizer.eos_token_id or answer.text.stopped
        if ended or answer.tokens == answer.question.sampling.max_new_tokens:
            self._leave(answer, Ended(text + answer.text.rest(), answer.tokens, "stop" if ended else "length"))
        else:
            _tell(answer, Written(text))

    def _leave(self, answer: Answer, last: Event) -> None:
        self._answers.remove(answer)
        _tell(answer, last)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two prompts have in common from their beginning on."""
    pairs = zip(first, second, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def _done(function: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():  # whoever asked for it has hung up
        return
    try:
        future.set_result(function())
    except Exception as error:  # belongs to whoever asked for it
        future.set_exception(error)


def _tell(answer: Answer, event: Event) -> None:
    with suppress(RuntimeError):  # whoever listened is gone, with the loop that ran it
        answer.question.tell(event)
