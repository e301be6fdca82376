"""Asks the candidates of a comparison from threads of this process, so that a page can show what they write.

Whoever looks finds what is under way by the comparison's id, whatever became of the page that started it. All that was
written is kept on disk, also of answers that were stopped or broke off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from core.access.actors import bound, current_actor
from core.access.permissions import allow
from core.compare.answering import Place, allow_asking, places_to_ask, recorded, scored, to_score, unanswered
from core.compare.comparison import ComparedAnswer, Comparison, answering_alone
from core.errors import StudioError
from core.paths import Home
from core.prompts import begun_turn
from core.serving.candidates import Candidate
from core.serving.client import stream, warm_up
from core.serving.conversations import conversation
from core.serving.server import Server
from core.serving.servers import ensure_scores, wait_for

STARTING, WRITING, SCORING, DONE = "starting the model", "writing", "scoring", "done"
"""Phases of a column; between the first two it is "loading 40 %" while a model loads."""

_LOAD_SECONDS = 900.0
_KEPT = 50
"""Comparisons that are remembered after they have been answered; the disk remembers all."""

_registry: dict[str, Asked] = {}
_registry_lock = threading.Lock()


class _Stopped(Exception):
    """The user broke it off."""


@dataclass
class Column:
    """What one candidate is doing; written by its own thread only.

    Attributes:
        question: the place of the question it is busy with.
        phase: see `STARTING` and the others.
        text: the completion so far, what its turn began with included; text from a model.
        pieces: in how many pieces it came, mostly one a token.
        answer: the record of the last answer, first without scores; None until it is whole or has failed.
        error: why the answer is not whole; empty otherwise.
    """

    candidate: Candidate
    question: int = 0
    phase: str = STARTING
    text: str = ""
    pieces: int = 0
    answer: ComparedAnswer | None = None
    error: str = ""


class Asked:
    """A comparison that is being answered, or was a short while ago.

    Attributes:
        starter: who has it asked, which need not be who made the comparison.
        columns: one for each candidate of the request, in their order.
    """

    def __init__(self, home: Home, comparison: Comparison) -> None:
        self.comparison = comparison
        self.starter = current_actor()
        self._home = home
        self._request = comparison.request()
        self._stop = threading.Event()
        self.columns: Sequence[Column] = [Column(candidate) for candidate in self._request.candidates]
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._left = 0
        self._release: Callable[[], None] = lambda: None

    @property
    def live(self) -> bool:
        """Whether somebody is still busy with it."""
        return any(thread.is_alive() for thread in self._threads)

    def cancel(self) -> None:
        """Break all answers off within moments; what was written is kept.

        Raises:
            AccessDenied: whoever acts now may not, and has not started the asking.
        """
        allow("compare.stop", owner=self.starter)
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until everybody has answered, `seconds` at most for each."""
        for thread in self._threads:
            thread.join(seconds)

    def start(self) -> None:
        """Ask what has no whole answer yet, and score what has no scores; once.

        Raises:
            AccessDenied: whoever acts now may not ask one of those who have not answered.
            RunError: another process answers this comparison.
        """
        known = self.comparison.answers()
        missing, bare = places_to_ask(self._request, known), to_score(known)
        allow_asking(self._home, self._request, missing)
        for number, column in enumerate(self.columns):
            own = [place for place in missing if place.candidate == number]
            later = [answer for answer in bare if answer.candidate == number]
            whole = [answer for answer in known if answer.candidate == number and not answer.error]
            if whole:
                column.answer, column.text = whole[-1], whole[-1].text
            if own or later:
                name = f"ask-{self.comparison.id}-{number}"
                work = (column, own, later)
                self._threads.append(
                    threading.Thread(target=bound(self._answer_all), args=work, name=name, daemon=True)
                )
            else:
                column.phase = DONE
        if self._threads:
            warm_up()  # while the model loads
            self._release = answering_alone(self.comparison)
            self._left = len(self._threads)
        for thread in self._threads:
            thread.start()

    def _answer_all(self, column: Column, places: Sequence[Place], bare: Sequence[ComparedAnswer]) -> None:
        try:
            for answer in bare:
                self._score(column, answer)
            for place in places:
                if place is places[0] or not self._stop.is_set():
                    self._answer(column, place)
        except StudioError as error:  # such as a full disk
            column.error = str(error)
        except BaseException as error:
            column.error = f"The studio met an error it does not know ({type(error).__name__}). See its log."
            raise
        finally:
            column.phase = DONE
            self._ended()

    def _ended(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._release()

    def _answer(self, column: Column, place: Place) -> None:
        """Ask one question, keep the answer, score it and keep the scores."""
        column.question, column.phase, column.text, column.pieces = place.question, STARTING, "", 0
        column.answer, column.error = None, ""
        try:
            answer = self._ask(column, place)
        except StudioError as error:
            answer = unanswered(place, str(error))
        except _Stopped:
            answer = unanswered(place, "Stopped before the answer began.")
        self.comparison.add([answer])
        column.text, column.answer, column.error = answer.text, answer, answer.error
        if not answer.error:
            self._score(column, answer)

    def _score(self, column: Column, answer: ComparedAnswer) -> None:
        column.phase = SCORING
        with suppress(_Stopped):
            self._look()
            (found,) = scored(self._home, self._request, [answer], self._look)
            self.comparison.add([found])
            column.answer = found

    def _ask(self, column: Column, place: Place) -> ComparedAnswer:
        prompt, text = self._request.prompt, self._request.questions[place.question].text
        turns = conversation(self._home, column.candidate, prompt, text)

        def loading(server: Server) -> None:
            self._look()
            column.phase = f"loading {100 * server.done // server.total} %" if server.total else STARTING

        with suppress(StudioError):  # told when it comes to scoring
            ensure_scores(self._home)  # so that it loads while the model does, not while it writes
        endpoint = wait_for(self._home, column.candidate, _LOAD_SECONDS, loading)
        column.phase, column.text = WRITING, begun_turn(turns)[1]

        def told(piece: str) -> None:
            column.text += piece
            column.pieces += 1

        answer = stream(endpoint, turns, self._request.decoding, told, self._stop.is_set)
        return recorded(place, turns, answer)

    def _look(self, server: Server | None = None) -> None:
        if self._stop.is_set():
            raise _Stopped


def start_asking(home: Home, comparison: Comparison) -> Asked:
    """Ask what has no whole answer yet, and return at once; what is under way already is left as it is.

    Raises:
        AccessDenied: whoever acts now may not ask, or not one of those who have not answered.
        DataError: the comparison is damaged.
        RunError: another process answers it.
    """
    allow("compare.ask")
    with _registry_lock:
        known = _registry.get(comparison.id)
        if known is not None and known.live:
            return known
        asked = Asked(home, comparison)
        asked.start()
        _registry.pop(comparison.id, None)
        _registry[comparison.id] = asked
        ended = [id_ for id_, other in _registry.items() if not other.live]
        for id_ in ended[: max(len(_registry) - _KEPT, 0)]:
            del _registry[id_]
        return asked


def find_asked(comparison_id: str) -> Asked | None:
    """What this process is asking, or has asked last, for a comparison; None when it does not know."""
    with _registry_lock:
        return _registry.get(comparison_id)
