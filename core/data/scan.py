"""Looks at the rows one by one, beside other work: which language, which likely identifiers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context, parent_process

from core.data.findings import Rows
from core.data.identifiers import find_identifiers, may_identify
from core.data.languages import language
from core.jobs.tasks import Tell

_Texts = tuple[str, str, tuple[str, ...]]
"""Of one row: the question, the answer, and the carried cells."""
_CHUNK = 250
"""Rows that a process takes at a time."""
_POOLED = 2_000
"""Fewer rows are done sooner than a second process has started."""
_PHASE = "looking for languages and patient identifiers"


@dataclass(frozen=True)
class Scanned:
    """What was seen in one row.

    Attributes:
        languages: of its question and of its answer.
        identifiers: kinds of likely ones in its question, in its answer, and in all its carried cells.
    """

    languages: tuple[str | None, str | None]
    identifiers: tuple[frozenset[str], frozenset[str], frozenset[str]]


@contextmanager
def scanning(rows: Rows) -> Iterator[Callable[[Tell], list[Scanned]]]:
    """Begin to scan; what is yielded waits for the end and returns one `Scanned` a row.

    Large tables are scanned by other processes, one core being left to the caller, who can do something else in the
    meantime. Each process first imports for two seconds, so one more than there are cores would cost more than it does.
    """
    texts = list(zip(rows.questions, rows.answers, rows.carried, strict=True))
    chunks = [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)]
    if len(texts) < _POOLED:
        yield lambda progress: _told(map(_scan, chunks), len(texts), progress)
        return
    workers = max((os.cpu_count() or 1) - 1, 1)
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent)
    try:
        futures = [pool.submit(_scan, chunk) for chunk in chunks]
        yield lambda progress: _told(map(Future.result, futures), len(texts), progress)
    finally:
        pool.shutdown(cancel_futures=True)


def _told(parts: Iterator[list[Scanned]], total: int, progress: Tell) -> list[Scanned]:
    done: list[list[Scanned]] = []
    progress(_PHASE, 0, total)
    for part in parts:
        done.append(part)
        progress(_PHASE, min(len(done) * _CHUNK, total), total)
    return list(chain.from_iterable(done))


def _scan(texts: Sequence[_Texts]) -> list[Scanned]:
    looked_at = iter(
        may_identify([cell for question, answer, carried in texts for cell in (question, answer, *carried)])
    )
    return [
        Scanned(
            (language(question), language(answer)),
            (_kinds(looked_at, question), _kinds(looked_at, answer), _kinds(looked_at, *carried)),
        )
        for question, answer, carried in texts
    ]


def _kinds(looked_at: Iterator[bool], *texts: str) -> frozenset[str]:
    """What is in any of the texts; each is looked at alone, as it is redacted, so that no finding spans two."""
    return frozenset(found.kind for text in texts if next(looked_at) for found in find_identifiers(text))


def _end_with_parent() -> None:
    """End this process when the one that started it is killed; by itself it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
