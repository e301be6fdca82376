"""From token ids, one by one, to text that can be sent at once."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers.decoders import DecodeStream
from transformers import PreTrainedTokenizerBase


class WrittenText:
    """The text of one answer.

    Attributes:
        stopped: whether a stop text has been written; the text ends before it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str] = ()) -> None:
        self.stopped = False
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._stops = stops
        self._ids: list[int] = []
        self._decoded = ""
        self._sent = 0

    def add(self, token: int) -> str:
        """The text that a token completes: whole characters only, and nothing that may be the beginning of a stop."""
        self._ids.append(token)
        # The library's own decoder keeps bytes back until they are a character.
        self._decoded += self._decoder.step(self._tokenizer.backend_tokenizer, token) or ""
        found = [place for stop in self._stops if (place := self._decoded.find(stop, self._searched())) >= 0]
        if found:
            self.stopped = True
            return self._up_to(min(found))
        return self._up_to(len(self._decoded) - self._kept_back())

    def rest(self) -> str:
        """What has been kept back until the end; where the answer breaks off within a character, its replacement."""
        if self.stopped:
            return ""
        whole = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        if whole.startswith(self._decoded):
            self._decoded = whole
        return self._up_to(len(self._decoded))

    def _up_to(self, end: int) -> str:
        new = self._decoded[self._sent : end]
        self._sent = max(end, self._sent)
        return new

    def _searched(self) -> int:
        """Where a stop text may begin at the earliest: what has been sent holds none."""
        return self._sent

    def _kept_back(self) -> int:
        """How many of the last characters may be the beginning of a stop text."""
        unsent = self._decoded[self._sent :]
        lengths = [length for stop in self._stops for length in range(1, len(stop)) if unsent.endswith(stop[:length])]
        return max(lengths, default=0)
