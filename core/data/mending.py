"""From a table and its draft to the rows a run reads: columns mapped, mends applied in order, splits assigned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from core.config import Tags
from core.data.draft import ColumnMapping, Draft, DropRows, Mend, Redact, Resplit, Split, StripReasoning
from core.data.duplicates import near_groups
from core.data.identifiers import redact
from core.data.prepared import ANSWER, COLUMNS, QUESTION, SPLIT
from core.data.reasoning import strip_reasoning
from core.data.split_names import parse_split
from core.data.splits import assign
from core.data.tables import ROW, Table, find_table, text_columns
from core.errors import DataError
from core.jobs.tasks import Tell, silent
from core.paths import Home

PREVIEWED = 20
_CHUNK = 1000
"""How many rows a preview looks at together while it searches for changes."""
_TOLD_EVERY = 500
"""After how many rows progress is told."""

_MEND: TypeAdapter[Mend] = TypeAdapter(Mend)


@dataclass(frozen=True)
class Change:
    """What a mend does to one cell.

    Attributes:
        row: the number the row has in its source.
        column: question, answer, split, or the name of a carried column.
        before: the text as it stands; None when the cell is empty.
        after: the text as it will stand; None when the row is left out.
    """

    row: int
    column: str
    before: str | None
    after: str | None


def prepared_rows(table: Table, draft: Draft, progress: Tell = silent) -> pa.Table:
    """The rows as the draft wants them: columns `row` (int64), `question`, `answer`, `split`, then the carried ones.

    Questions and answers lose the blanks around them; cells that were null stay null.

    Raises:
        DataError: the draft names a column that the table lacks, or the split column holds a word that names no
            split; the message names the row.
    """
    rows = _mended(_mapped(table, draft), draft, progress)
    progress("assigning splits", 0, 0)
    splits = pa.array(_splits(rows, draft, progress), pa.string())
    return rows.set_column(rows.schema.get_field_index(SPLIT), SPLIT, splits)


def preview(table: Table, draft: Draft, mend: Mend, limit: int = PREVIEWED) -> list[Change]:
    """The first `limit` changes that adding `mend` to the draft would make, in the order of the rows.

    Raises:
        DataError: the draft names a column that the table lacks.
    """
    changes = _split_changes(table, draft) if isinstance(mend, Resplit) else _changes(table, draft, mend)
    return [change for _, change in zip(range(limit), changes, strict=False)]


def run_preview(home: Home, arguments: Mapping[str, Any], progress: Tell) -> list[dict[str, Any]]:
    """The task "preview": `{"table": id, "mend": a mend, "limit"?: number}` to a list of changes.

    Raises:
        DataError: there is no such table, or nothing has been decided about it yet.
    """
    progress("looking at the rows", 0, 0)
    table = find_table(home, arguments["table"])
    mend = _MEND.validate_python(arguments["mend"])
    return [asdict(change) for change in preview(table, draft_of(table), mend, arguments.get("limit", PREVIEWED))]


def draft_of(table: Table) -> Draft:
    """What has been decided about the table.

    Raises:
        DataError: nothing has.
    """
    draft = table.draft()
    if draft is None:
        raise DataError(f"{table.about().title} has no question and answer column yet. Choose them first.")
    return draft


def check_mapping(mapping: ColumnMapping, columns: Sequence[str], title: str) -> None:
    """Refuse a mapping that the columns of a table do not allow.

    Raises:
        DataError: names the column and what to do.
    """
    wanted = (mapping.question, mapping.answer, *([mapping.split] if mapping.split else []), *mapping.carried)
    for name in wanted:
        if name not in columns:
            raise DataError(f"{title} has no column {name!r}. Choose from {text_columns(columns)}.")
    if mapping.question == mapping.answer:
        raise DataError(f"The column {mapping.question!r} is chosen as question and as answer. Choose two columns.")
    for name in mapping.carried:
        if name in COLUMNS:
            raise DataError(
                f"The column {name!r} cannot be carried along: prepared rows have a column of that name already. "
                "Leave it out, or rename it in the source."
            )


def _mapped(table: Table, draft: Draft, only: Collection[int] | None = None) -> pa.Table:
    """The draft's columns of the table under their new names, of all rows or `only` of those with these numbers.

    The split column holds what the table says, null where no column says anything.
    """
    mapping, about = draft.mapping, table.about()
    check_mapping(mapping, about.columns, about.title)
    carried = tuple(dict.fromkeys(mapping.carried))
    sources = (ROW, mapping.question, mapping.answer, *([mapping.split] if mapping.split else []), *carried)
    chosen = None if only is None else pc.field(ROW).isin(list(only))
    read = pq.read_table(table.file, columns=list(dict.fromkeys(sources)), filters=chosen)
    split = read.column(mapping.split) if mapping.split else pa.nulls(read.num_rows, pa.string())
    texts = [pc.utf8_trim_whitespace(read.column(name)) for name in (mapping.question, mapping.answer)]
    columns = [read.column(ROW), *texts, split, *(read.column(name) for name in carried)]
    return pa.table(columns, names=[*COLUMNS, *carried]).sort_by(ROW)


def _mended(rows: pa.Table, draft: Draft, progress: Tell = silent) -> pa.Table:
    for mend in draft.mends:
        rows = _with_mend(rows, mend, draft.prompt.tags, progress)
    return rows


def _with_mend(rows: pa.Table, mend: Mend, tags: Tags, progress: Tell = silent) -> pa.Table:
    match mend:
        case DropRows():
            dropped = pc.is_in(rows.column(ROW), pa.array(mend.rows, pa.int64()))
            return rows.filter(pc.invert(dropped))
        case StripReasoning():
            return _rewritten(rows, (ANSWER,), mend.rows, lambda text: strip_reasoning(text, tags), progress)
        case Redact():
            texts = [name for name in rows.column_names if name not in (ROW, SPLIT)]
            return _rewritten(rows, texts, mend.rows, redact, progress)
        case Resplit():  # splits are assigned after all mends
            return rows


def _rewritten(
    rows: pa.Table,
    columns: Sequence[str],
    numbers: Collection[int],
    rewrite: Callable[[str], str],
    progress: Tell,
) -> pa.Table:
    """`rows` with `rewrite` applied to these columns of the rows with these numbers; null cells stay null."""
    wanted = frozenset(numbers)
    positions = [index for index, number in enumerate(rows.column(ROW).to_pylist()) if number in wanted]
    for name in columns:
        texts = rows.column(name).to_pylist()
        for done, index in enumerate(positions):
            if done % _TOLD_EVERY == 0:
                progress(f"mending the column {name}", done, len(positions))
            if texts[index]:
                texts[index] = rewrite(texts[index])
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(texts, pa.string()))
    return rows


def splits_by_question(draft: Draft) -> bool:
    """Whether a hash of the question decides about the split, not a column of the table."""
    return draft.mapping.split is None or any(isinstance(mend, Resplit) for mend in draft.mends)


def _splits(rows: pa.Table, draft: Draft, progress: Tell = silent) -> list[Split]:
    if splits_by_question(draft):
        questions = [question or "" for question in rows.column(QUESTION).to_pylist()]
        return assign(questions, draft.shares, near_groups(questions, progress=progress))
    named = zip(rows.column(ROW).to_pylist(), rows.column(SPLIT).to_pylist(), strict=True)
    return [_named_split(number, text, draft.mapping.split) for number, text in named]


def _named_split(number: int, text: str | None, column: str | None) -> Split:
    split = parse_split(text)
    if split is None:
        raise DataError(
            f"Row {number} has {text or ''!r} in the column {column!r}, which names no split. Write train, validation "
            "or test there, or let the studio split by the question: choose no split column."
        )
    return split


def _changes(table: Table, draft: Draft, mend: DropRows | StripReasoning | Redact) -> Iterator[Change]:
    """The changes of a mend that concerns single rows; rows are looked at only as far as changes are asked for."""
    numbers = sorted(set(mend.rows))
    for start in range(0, len(numbers), _CHUNK):
        before = _mended(_mapped(table, draft, numbers[start : start + _CHUNK]), draft)
        if isinstance(mend, DropRows):
            yield from (Change(row[ROW], QUESTION, row[QUESTION], None) for row in before.to_pylist())
        else:
            yield from _differences(before, _with_mend(before, mend, draft.prompt.tags))


def _differences(before: pa.Table, after: pa.Table) -> Iterator[Change]:
    for old, new in zip(before.to_pylist(), after.to_pylist(), strict=True):
        yield from (Change(old[ROW], name, old[name], new[name]) for name in old if old[name] != new[name])


def _split_changes(table: Table, draft: Draft) -> Iterator[Change]:
    if draft.mapping.split is None:
        return
    rows = _mended(_mapped(table, draft), draft)
    after = _splits(rows, draft.model_copy(update={"mends": (*draft.mends, Resplit())}))
    named = zip(rows.column(ROW).to_pylist(), rows.column(SPLIT).to_pylist(), after, strict=True)
    if not splits_by_question(draft):
        yield from (Change(number, SPLIT, was, will) for number, was, will in named if parse_split(was) != will)
