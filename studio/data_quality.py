"""The fourth step of the Data page: the quality report and its findings, worst first."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.data.draft import Draft
from core.data.findings import Finding, Report
from core.data.languages import language_name
from core.data.quality import is_current, kept_report
from core.data.tables import ROW, Table
from core.errors import DataError
from core.jobs.tasks import newest_task
from core.paths import Home
from studio import data_lengths, data_mends, data_tasks, output
from studio.words import Badge

_SEVERITY = {
    "problem": Badge("Problem", "red", ":material/error:"),
    "warning": Badge("Warning", "orange", ":material/warning:"),
    "note": Badge("Note", "blue", ":material/info:"),
}
_NAMED_ROWS = 12
_LISTED_ROWS = 50
_AGAIN = "The last report is kept. Run it again."


def is_reported(table: Table) -> bool:
    """Whether there is a report on the table, be it of an older draft."""
    return _report(table) is not None


def _report(table: Table) -> Report | None:
    try:
        return kept_report(table)
    except DataError:
        return None


def section(home: Home, table: Table, draft: Draft) -> None:
    """The button that makes a report, what it found, and the mends that are applied."""
    task = newest_task(home, "report", {"table": table.id})
    report = _report(table)
    if task is not None and task.status().live:
        data_tasks.follow(task)
    else:
        _button(home, table, report)
        data_tasks.explain(task, "report", _AGAIN, table.id)
    if report is not None:
        _found(home, table, draft, report)
    data_mends.applied(table, draft)


def _button(home: Home, table: Table, report: Report | None) -> None:
    current = report is not None and is_current(table)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Check the rows" if report is None else "Check again",
            type="secondary" if current else "primary",
            icon=":material/fact_check:",
            key="run_report",
            on_click=data_tasks.start,
            args=(home, "report", {"table": table.id}),
        )
        if report is None:
            st.caption("Looks for empty cells, duplicates, leaks between splits, reasoning in answers and identifiers.")
        elif not current:
            st.warning(
                "Columns, prompt, limits, shares or mends have changed since this report was made. Check again to see "
                "how the rows stand now.",
                icon=":material/history:",
            )


def _found(home: Home, table: Table, draft: Draft, report: Report) -> None:
    counts = {severity: sum(f.severity == severity for f in report.findings) for severity in _SEVERITY}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{report.rows:,} rows checked**")
        for severity, badge in _SEVERITY.items():
            if counts[severity]:
                st.badge(_counted(counts[severity], badge.label.lower()), icon=badge.icon, color=badge.colour)
    if not report.findings:
        st.success("The checks found nothing to mend.", icon=":material/verified:")
    for number, finding in enumerate(report.findings):
        with st.container(border=True):
            _finding(home, table, draft, finding, number)
    st.caption(
        "The search for identifiers knows titles, cues and forms of numbers. A bare name stays unseen, so a "
        "report without a finding is no proof that nobody can be recognised."
    )
    if report.languages:
        shares = [f"{language_name(code)} {share:.0%}" for code, share in report.languages.items()]
        st.caption(f"Languages of the texts long enough to tell: {', '.join(shares)}.")
    data_lengths.section(table, draft, report)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _finding(home: Home, table: Table, draft: Draft, finding: Finding, number: int) -> None:
    badge = _SEVERITY[finding.severity]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(badge.label, icon=badge.icon, color=badge.colour)
        st.markdown(f"**{output.escape(finding.title)}**", width="content")
        if finding.rows:
            st.caption(row_list(finding.rows), width="content")
    st.write(output.escape(finding.detail))
    with st.container(horizontal=True, vertical_alignment="center"):
        if finding.mend is not None:
            data_mends.button(home, table, draft, finding.mend, number)
        shown = finding.rows and st.toggle("Show these rows", key=f"{table.id}.finding.{number}")
    if shown:
        _rows(table, draft, finding.rows, number)
    if finding.mend is not None:
        data_mends.look(home, table, draft, finding.mend, number)


def row_list(rows: Sequence[int]) -> str:
    """The numbers of the first rows, and how many more there are.

    >>> row_list([4]), row_list([2, 3])
    ('Row 4', 'Rows 2, 3')
    """
    named = ", ".join(str(row) for row in rows[:_NAMED_ROWS])
    more = len(rows) - _NAMED_ROWS
    return f"Row{'' if len(rows) == 1 else 's'} {named}" + (f" and {more:,} more" if more > 0 else "")


def _rows(table: Table, draft: Draft, numbers: Sequence[int], number: int) -> None:
    mapping = draft.mapping
    shown = [
        {"Row": str(row[ROW]), "Question": row[mapping.question] or "", "Answer": row[mapping.answer] or ""}
        for row in table.rows(numbers[:_LISTED_ROWS])
    ]
    output.texts(shown, key=f"{table.id}.finding_rows.{number}")
    if len(numbers) > _LISTED_ROWS:
        st.caption(f"The first {_LISTED_ROWS} of {len(numbers):,}, as they stand in the source.")
