"""Whether each form of an export still answers as the adapter that it was made of.

All forms are asked the same questions, one form in memory at a time. The adapter on its base model comes first: what it
writes is what the others are held against. `core.export.parity_report` says what is measured.
"""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.config import RunConfig
from core.engine.export import parity_llama, parity_transformers
from core.engine.export.base import base_folder
from core.engine.export.distributions import Likeliest, compare
from core.engine.export.parity_asked import COMPARED, Answering, EndToken, Question, Written
from core.engine.export.parity_questions import choose_questions
from core.engine.export.parity_rewards import mark
from core.errors import ModelError, OutOfMemory, StudioError, lacks_memory
from core.export.parity_findings import make_report
from core.export.parity_report import REFERENCE, FormAnswer, FormParity, ParityReport
from core.export.request import FORMS, GGUF_FORMS, Form
from core.export.store import Export, adapter_to_export
from core.jobs.tasks import TaskStopped, Tell
from core.paths import Home
from core.prompts import whole_completion
from core.runs.run import find_run

PHASE = "comparing answers"
LONGEST = 512
"""Tokens after which an answer is cut off, where the run itself did not cut it off before."""

_SPARE = 8
"""Tokens of room beyond the longest question and answer."""


def parity(
    home: Home, export: Export, forms: Sequence[Form], tell: Tell, *, adapter: Path | None = None
) -> ParityReport:
    """Ask the adapter and these forms of an export, and say how far apart they are.

    Args:
        forms: those that are there.
        adapter: the folder of the adapter that they were made of; by default the run's.
        tell: told how many answers have been heard.

    Raises:
        RunError: the run or its adapter is gone.
        ModelError: the adapter or its base model cannot be used.
        TaskStopped: the user asked to stop.
    """
    started = time.monotonic()
    run = find_run(home, export.request().run)
    config = run.config()
    questions, notes = choose_questions(home, config, export.request())
    asking = _Asking(home, export, config, questions, tell, (len(forms) + 1) * len(questions), adapter)
    reference, *found = asking.all([form for form in FORMS if form in forms])
    marked = mark(home, config, run, questions, [reference, *found], asking.told)
    asked = [question.row.question for question in questions]
    notes += marked.notes
    return make_report(asked, marked.forms[0], marked.forms[1:], notes, time.monotonic() - started)


@dataclass(frozen=True)
class _Heard:
    """What one form has answered.

    Attributes:
        texts: whole completions, with what the model's turn was begun with.
        likely: of each question, what it found likely at the first tokens of the reference's answer.
        ending: what it says ends an answer.
        end: the token that ends the reference's answers.
    """

    written: list[Written]
    texts: list[str]
    likely: list[list[Likeliest]]
    ending: EndToken
    end: int


class _Asking:
    """Asks one form after the other."""

    def __init__(
        self,
        home: Home,
        export: Export,
        config: RunConfig,
        questions: list[Question],
        tell: Tell,
        total: int,
        adapter: Path | None,
    ) -> None:
        self._export, self._config, self._questions = export, config, questions
        self._adapter = adapter or adapter_to_export(home, export.request()).folder
        self._base = base_folder(config.model, home, tell)
        self._tell, self._total, self._done = tell, total, 0
        self._most = min(config.train.max_completion_length, LONGEST)

    def told(self) -> None:
        """Say how far this is; raises TaskStopped where the user asked to stop."""
        self._tell(PHASE, self._done, self._total)

    def all(self, forms: Sequence[Form]) -> list[FormParity]:
        """The reference and then these forms; without a reference, no form is held against anything."""
        try:
            with _memory_told():
                reference = self._reference()
        except (OutOfMemory, _NoProbabilities) as error:
            fault = "does not fit into memory" if isinstance(error, OutOfMemory) else "cannot be computed"
            why = f"The adapter on its base model, which it is compared with, {fault}. {error}"
            return [FormParity(form=form, problem=why) for form in (REFERENCE, *forms)]
        return [_parity_of(REFERENCE, reference, reference), *(self._form(form, reference) for form in forms)]

    def _reference(self) -> _Heard:
        """How the adapter answers on its base model."""
        self.told()
        with parity_transformers.opened(self._base, self._adapter, self._base, as_trained=True) as form:
            written = form.write(self._questions, self._most, self.told)
            ending, end = EndToken(str(form.tokenizer.eos_token), True, True), int(form.tokenizer.eos_token_id)
            likely = self._likely(form, written)
        return _Heard(written, self._texts(written), likely, ending, end)

    def _form(self, form: Form, reference: _Heard) -> FormParity:
        """How a form answers; what keeps it from answering is told as its problem."""
        self._done += len(self._questions)
        self.told()
        try:
            with _memory_told(), tempfile.TemporaryDirectory() as scratch:
                heard = self._heard(form, reference, Path(scratch))
                return _parity_of(form, heard, reference)
        except TaskStopped:
            raise
        except StudioError as error:
            return FormParity(form=form, problem=str(error))
        except Exception as error:  # one form must not keep the others, and the export, from being finished
            traceback.print_exc()
            why = f"The check broke off with an unexpected error ({type(error).__name__}); the log tells where."
            return FormParity(form=form, problem=why)

    def _heard(self, form: Form, reference: _Heard, scratch: Path) -> _Heard:
        with self._opened(form, reference, scratch) as opened:
            written = opened.write(self._questions, self._most, self.told)
            likely = self._likely(opened, reference.written)
            ending = opened.end_token(reference.ending.text)
        return _Heard(written, self._texts(written), likely, ending, reference.end)

    def _opened(self, form: Form, reference: _Heard, scratch: Path) -> AbstractContextManager[Answering]:
        place = self._export.place_of(form)
        if form == "adapter":
            return parity_transformers.opened(self._base, place, place)
        if form in GGUF_FORMS:
            longest = max(len(one.prompt_ids) for one in reference.written)
            return parity_llama.opened(place, reference.end, longest + self._most + _SPARE, scratch, self.told)
        return parity_transformers.opened(place, None, place)

    def _likely(self, form: Answering, reference: Sequence[Written]) -> list[list[Likeliest]]:
        """What a form finds likely at the first tokens of the reference's answers."""
        found = []
        for answer in reference:
            self.told()
            found.append(form.distributions(answer.prompt_ids, answer.ids[:COMPARED]))
        if not all(one.meaningful for one in _flat(found)):
            raise _NoProbabilities(
                "Its probabilities are no finite numbers: its weights are damaged, or the training diverged. Export an "
                "earlier checkpoint of the run."
            )
        return found

    def _texts(self, written: Sequence[Written]) -> list[str]:
        pairs = zip(self._questions, written, strict=True)
        return [whole_completion(question.conversation, answer.text) for question, answer in pairs]


class _NoProbabilities(ModelError):
    """What a model computes is not a number."""


@contextmanager
def _memory_told() -> Iterator[None]:
    """Turn what a library says when memory runs out into a sentence."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise OutOfMemory(
            "Memory ran out while it was loaded or answered. Stop what else uses it and try again."
        ) from error


def _parity_of(form: Form | Literal["reference"], heard: _Heard, reference: _Heard) -> FormParity:
    """What was heard of a form, held against the reference."""
    pairs = list(zip(reference.written, heard.written, strict=True))
    compared = compare(_flat(reference.likely), _flat(heard.likely))
    return FormParity(
        form=form,
        prompts_equal=sum(ours.prompt_ids == theirs.prompt_ids for ours, theirs in pairs),
        end_token=heard.ending.text,
        end_declared=heard.ending.declared,
        end_honoured=heard.ending.honoured,
        positions=compared.positions,
        divergence=compared.divergence,
        divergence_max=compared.divergence_max,
        same_choice=compared.same_choice,
        answers=tuple(
            FormAnswer(
                text=text,
                tokens=len(theirs.ids),
                ended=theirs.ended,
                first_difference=first_difference(ours.ids, theirs.ids),
            )
            for (ours, theirs), text in zip(pairs, heard.texts, strict=True)
        ),
    )


def first_difference(ours: Sequence[int], theirs: Sequence[int]) -> int | None:
    """The place of the first token that differs, or is only in one of two answers; None when there is none.

    >>> first_difference([5, 6, 7], [5, 8, 7]), first_difference([5], [5, 6]), first_difference([5], [5])
    (1, 1, None)
    """
    for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return place
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs))


def _flat(rows: Sequence[Sequence[Likeliest]]) -> list[Likeliest]:
    return [one for row in rows for one in row]
