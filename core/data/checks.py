"""The checks of the quality report: each looks at the rows and returns what it finds, with a mend if there is one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from core.config import Tags
from core.data.draft import Draft, DropRows, Redact, Resplit, StripReasoning
from core.data.duplicates import exact_groups, normalise
from core.data.findings import Finding, Rows
from core.data.identifiers import KINDS
from core.data.languages import language_name
from core.data.lengths import Limit, Measured
from core.data.prepared import ANSWER, QUESTION
from core.data.reasoning import reasoning_marks
from core.data.scan import Scanned

_STRICTNESS = {"test": 0, "validation": 1, "train": 2}
"""Of a question in two splits, the row in the first of these stays."""
_MANY = 0.2
"""When so large a share of the training rows would go, splitting anew is the better mend; a language with so large a
share is there on purpose."""


def empty_cells(rows: Rows) -> list[Finding]:
    """Rows without a question, and rows without an answer."""
    found = []
    for column, texts in ((QUESTION, rows.questions), (ANSWER, rows.answers)):
        empty = rows.numbers_of([index for index, text in enumerate(texts) if not text.strip()])
        if empty:
            found.append(
                Finding(
                    kind=f"empty {column}",
                    title=f"{_rows(empty)} no {column}.",
                    detail="A model can neither answer nor be judged there. The mend leaves these rows out.",
                    severity="problem",
                    column=column,
                    rows=empty,
                    mend=DropRows(reason=f"no {column}", rows=empty),
                )
            )
    return found


def repeated(rows: Rows) -> list[Finding]:
    """Questions asked again in the same split: with the same answer, and with another one."""
    same: list[int] = []
    other: list[int] = []
    for group in exact_groups(rows.questions):
        earlier: dict[str, set[str]] = defaultdict(set)
        for index in group:
            answers, answer = earlier[rows.splits[index]], normalise(rows.answers[index])
            if answers:
                (same if answer in answers else other).append(index)
            answers.add(answer)
    found = []
    if same:
        again = rows.numbers_of(same)
        found.append(
            Finding(
                kind="duplicate",
                title=f"{_rows(again)} the same question and answer as an earlier row.",
                detail="They would count twice in training. The mend keeps the first row of each and drops these.",
                severity="warning",
                column=QUESTION,
                rows=again,
                mend=DropRows(reason="duplicate", rows=again),
            )
        )
    if other:
        against = rows.numbers_of(other)
        found.append(
            Finding(
                kind="conflict",
                title=f"{_rows(against)} the question of an earlier row with another answer.",
                detail="The model is rewarded for one answer here and for another there. Decide which is right; the "
                "mend keeps the first row of each question and drops these.",
                severity="problem",
                column=ANSWER,
                rows=against,
                mend=DropRows(reason="same question with another answer", rows=against),
            )
        )
    return found


def nearly_repeated(rows: Rows, groups: Sequence[Sequence[int]]) -> list[Finding]:
    """Questions that differ from an earlier one of the same split in a few characters only."""
    later: list[int] = []
    for group in groups:
        first: dict[str, str] = {}
        for index in group:
            words = normalise(rows.questions[index])
            if first.setdefault(rows.splits[index], words) != words:
                later.append(index)
    if not later:
        return []
    near = rows.numbers_of(later)
    return [
        Finding(
            kind="near duplicate",
            title=f"{_rows(near)} nearly the same question as an earlier row.",
            detail="Often only an age or a value differs; sometimes that changes the answer, so look before you mend. "
            "The mend keeps the first row of each group and drops these.",
            severity="warning",
            column=QUESTION,
            rows=near,
            mend=DropRows(reason="near duplicate", rows=near),
        )
    ]


def in_two_splits(rows: Rows, groups: Sequence[Sequence[int]], draft: Draft) -> list[Finding]:
    """Questions that stand, exactly or nearly, in two splits; the rows named are those to give up."""
    spilled: list[int] = []
    for group in groups:
        strictest = min(_STRICTNESS[rows.splits[index]] for index in group)
        spilled += [index for index in group if _STRICTNESS[rows.splits[index]] > strictest]
    if not spilled:
        return []
    named = rows.numbers_of(spilled)
    anew = draft.mapping.split is not None and len(named) > _MANY * rows.splits.count("train")
    mend = Resplit() if anew else DropRows(reason="question is in the test or validation split too", rows=named)
    what = (
        "The mend forgets the table's own split and splits anew, so that such questions stay on one side."
        if anew
        else "The mend drops these rows and keeps those in the test and validation splits."
    )
    return [
        Finding(
            kind="split overlap",
            title=f"{_rows(named)} a question that stands, exactly or nearly, in the test or validation split too.",
            detail=f"What a model has seen in training says nothing about what it has learned. {what}",
            severity="problem",
            column=QUESTION,
            rows=named,
            mend=mend,
        )
    ]


def with_reasoning(rows: Rows, tags: Tags) -> list[Finding]:
    """Answers that still hold reasoning, tags or marks of a chat."""
    marks = {index: reasoning_marks(answer, tags) for index, answer in enumerate(rows.answers)}
    marked = [index for index, kinds in marks.items() if kinds]
    if not marked:
        return []
    named = rows.numbers_of(marked)
    counts = Counter(kind for kinds in marks.values() for kind in kinds)
    seen = ", ".join(f"{kind} in {count}" for kind, count in counts.most_common())
    return [
        Finding(
            kind="reasoning",
            title=f"{_rows(named)} an answer with reasoning, tags or marks of a chat in it.",
            detail=f"Seen: {seen}. Completions are compared with the reference answer, which should be the answer "
            "alone. The mend keeps only that.",
            severity="problem",
            column=ANSWER,
            rows=named,
            mend=StripReasoning(rows=named),
        )
    ]


def too_long(rows: Rows, measured: Measured, draft: Draft, prompt: Limit, completion: Limit) -> list[Finding]:
    """Prompts over the draft's limit, and answers that a completion of the draft's length cannot hold."""
    return [
        *_too_long(
            rows,
            _over(measured.prompts, draft.max_prompt_length),
            column=QUESTION,
            title=f"a prompt of more than {draft.max_prompt_length} tokens.",
            why="Such rows are not trained on.",
            setting="prompt",
            present=draft.max_prompt_length,
            suggested=prompt,
        ),
        *_too_long(
            rows,
            _over(measured.answers, draft.max_completion_length - measured.tags),
            column=ANSWER,
            title=f"an answer that does not fit into {draft.max_completion_length} tokens with its tags.",
            why="A completion is cut at the limit, even before any reasoning, and earns little.",
            setting="completion",
            present=draft.max_completion_length,
            suggested=completion,
        ),
    ]


def _over(tokens: Sequence[int | None], limit: int) -> list[int]:
    return [index for index, length in enumerate(tokens) if length is not None and length > limit]


def _too_long(
    rows: Rows, long: list[int], column: str, title: str, why: str, setting: str, present: int, suggested: Limit
) -> list[Finding]:
    if not long:
        return []
    named = rows.numbers_of(long)
    raised = suggested.tokens > present
    what = (
        f"Raise the longest {setting} to {suggested.tokens}: {suggested.reason}"
        if raised
        else "The mend leaves these few out; raising the limit for them would cost every row memory and time."
    )
    return [
        Finding(
            kind=f"long {setting}",
            title=f"{_rows(named)} {title}",
            detail=f"{why} {what}",
            severity="warning",
            column=column,
            rows=named,
            mend=None if raised else DropRows(reason=f"{setting} too long", rows=named),
        )
    ]


def language_shares(scanned: Iterable[Scanned]) -> dict[str, float]:
    """The share of each language in the texts that are long enough to tell, the largest first."""
    counts = Counter(code for row in scanned for code in row.languages if code is not None)
    return {code: round(count / counts.total(), 4) for code, count in counts.most_common()}


def other_languages(rows: Rows, scanned: Sequence[Scanned]) -> list[Finding]:
    """Rows whose question or answer is in another language than most."""
    shares = language_shares(scanned)
    common = next(iter(shares), None)
    by_language: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(scanned):
        for code in {code for code in row.languages if code not in (None, common)}:
            by_language[str(code)].append(index)
    found = []
    for code, indices in by_language.items():
        named, many = rows.numbers_of(indices), shares[code] >= _MANY
        mend = None if many else DropRows(reason=f"in {language_name(code)}", rows=named)
        found.append(
            Finding(
                kind="language",
                title=f"{_rows(named)} a question or answer in {language_name(code)}.",
                detail=f"Most texts are in {language_name(str(common))}. A reward model may judge other languages "
                + ("badly; check that it knows both." if many else "badly. The mend leaves these rows out."),
                severity="warning" if len(named) * 100 >= len(rows.numbers) else "note",
                column=None,
                rows=named,
                mend=mend,
            )
        )
    return found


def identifying(rows: Rows, scanned: Sequence[Scanned]) -> list[Finding]:
    """Rows with likely patient identifiers, one finding for each kind."""
    found = []
    for kind in KINDS:
        sides = [[index for index, row in enumerate(scanned) if kind in row.identifiers[side]] for side in range(3)]
        named = rows.numbers_of(list(set().union(*sides)))
        if named:
            columns = [column for column, indices in zip((QUESTION, ANSWER, None), sides, strict=True) if indices]
            where = f" In {len(sides[2]):,} of them it stands in a carried column." if sides[2] else ""
            found.append(
                Finding(
                    kind=f"identifier: {kind}",
                    title=f"{_rows(named)} what looks like {_WITH_ARTICLE.get(kind, 'a ' + kind)} of a person.",
                    detail="A trained model can repeat what it has read. The mend puts placeholders such as "
                    f"[{kind.upper()}] for everything in these rows that looks like an identifier. Names without a "
                    f"title or cue are not noticed: read some rows yourself.{where}",
                    severity="problem",
                    column=columns[0] if len(columns) == 1 else None,
                    rows=named,
                    mend=Redact(rows=named),
                )
            )
    return found


_WITH_ARTICLE = {
    "insurance number": "an insurance number",
    "identity number": "an identity number",
    "address": "an address",
    "email": "an e-mail address",
    "phone": "a phone number",
}


def _rows(named: Sequence[int]) -> str:
    return "1 row has" if len(named) == 1 else f"{len(named):,} rows have"
