"""The audit log on the Administration page: who did what, and whether the log is as it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pandas as pd
import streamlit as st

from core.access.actors import Source
from core.access.audit import MENDED, log_file, read_log, verify, waiting
from core.access.audit_record import Record
from core.access.permissions import PERMISSIONS, Action
from core.errors import StudioError
from core.paths import Home
from studio import access, output

_MOST_SHOWN = 500
_KNOWN_BY: Mapping[Source, str] = {
    "local": "sits at the machine",
    "proxy": "sign-in service",
    "oidc": "account of the organisation",
    "command line": "user of the system",
    "job": "a job that they started",
}
_OTHER_ACTIONS = {
    MENDED: "the log was damaged and went on",
    "export.acknowledge": "accept how an export differs",
    "task.stop": "stop work that was going on",
    "queue.leave": "take a run out of the queue",
    "data.upload": "upload a file",
    "board.measure": "measure the completions of a board",
}
"""What stands in the log and needs no permission of its own."""
_COLUMNS = {"Time": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")}


def draw(home: Home) -> None:
    """The newest records that the filters let through, the check of the whole log, and its file."""
    st.write("Who started, changed, deleted, voted, exported and published what. Records are only ever added.")
    _check(home)
    late = waiting(home)
    if late:
        output.warning(
            f"{late:,} records could not be written into the log, because the disk was full or something held the log. "
            "They are kept, and written with the next thing that is done. Make room on the disk."
        )
    try:
        records = read_log(home)
    except StudioError as error:
        output.problem(error)
        return
    if not records:
        st.info("Nothing has been done yet.", icon=":material/history:")
        return
    found = _filtered(records)
    shown = list(reversed(found))[:_MOST_SHOWN]
    st.dataframe(_frame(shown), hide_index=True, key="admin.log.table", column_config=_COLUMNS)
    st.caption(f"{len(shown):,} of {len(found):,} records that fit, of {len(records):,} in all; the newest first.")


def _check(home: Home) -> None:
    """The buttons that read the whole log, and hand it out."""
    with st.container(horizontal=True):
        asked = st.button("Verify the log", icon=":material/verified_user:", key="admin.log.verify")
        if log_file(home).is_file():
            access.download_button(
                "Download the log",
                partial(_opened, log_file(home)),
                subject="audit log",
                action="audit.read",
                key="admin.log.download",
                file_name="audit-log.jsonl",
                mime="application/jsonl",
                icon=":material/download:",
                on_click="ignore",
            )
    if asked:
        _say_verified(home)


def _say_verified(home: Home) -> None:
    try:
        with st.spinner("Reading the log"):
            found = verify(home)
    except StudioError as error:
        output.problem(error)
        return
    if not found.whole:
        output.problem(f"The log is not as it was written. Line {found.line}: {found.reason}")
        return
    st.success(
        f"All {found.records:,} records are as they were written, one after the other.", icon=":material/verified_user:"
    )
    if found.mended:
        lines = ", ".join(map(str, found.mended))
        output.warning(f"The log was damaged and went on; what happened is said in the records on line {lines}.")
    output.labelled("Hash of the last record; keep it elsewhere to notice a log that was written anew", found.hash)


def _filtered(records: Sequence[Record]) -> list[Record]:
    people, actions, search = st.columns(3)
    who = people.multiselect("Person", sorted({one.actor for one in records}), key="admin.log.who")
    what = actions.multiselect(
        "Action", sorted({one.action for one in records}), key="admin.log.what", format_func=_words_of
    )
    text = search.text_input("Subject or details contain", key="admin.log.text").strip().casefold()
    return [
        one
        for one in records
        if (not who or one.actor in who)
        and (not what or one.action in what)
        and text in f"{one.subject} {_details(one)}".casefold()
    ]


def _frame(records: Sequence[Record]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Time": [datetime.fromtimestamp(one.time).astimezone() for one in records],
            "Person": [one.actor for one in records],
            "Role": [one.role for one in records],
            "Known by": [_KNOWN_BY[one.source] for one in records],
            "Action": [_words_of(one.action) for one in records],
            "Subject": [one.subject for one in records],
            "Details": [_details(one) for one in records],
        }
    )


def _words_of(action: str) -> str:
    """What was done, in words; some actions of the log need no permission of their own and have words of their own.

    >>> _words_of("run.delete"), _words_of("audit.mended")
    ('delete a run', 'the log was damaged and went on')
    """
    permission = PERMISSIONS.get(cast(Action, action))
    return permission.words if permission is not None else _OTHER_ACTIONS.get(action, action)


def _details(record: Record) -> str:
    return ", ".join(f"{name}: {value}" for name, value in record.details.items())


def _opened(file: Path) -> BinaryIO:
    return file.open("rb")
