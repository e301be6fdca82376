"""What came of trying a custom reward."""

from __future__ import annotations

import streamlit as st

from core.paths import Home
from core.reward.custom_files import CustomFile
from core.reward.trial import Trial
from studio import lab_tasks, output


def show(home: Home, file: CustomFile) -> None:
    """The newest trial of a file; one of an earlier text of it is not shown."""
    found = lab_tasks.newest_result(home, "try_reward", {"name": file.name})
    trial = None if found is None else Trial.model_validate(found)
    if trial is None or trial.sha256 != file.sha256:
        return
    if trial.error:
        _failed(trial)
    else:
        _worked(trial)
    if trial.output:
        with st.expander("What it printed"):
            output.lines(trial.output, height=160)


def _failed(trial: Trial) -> None:
    output.problem(trial.error)
    if len(trial.frames) > 1:  # the sentence above names the last of them
        where = [f"line {frame.line}, in {frame.function}\n    {frame.source.strip()}" for frame in trial.frames]
        output.lines("\n".join(where), height=140)


def _worked(trial: Trial) -> None:
    count = len(trial.scores)
    st.markdown(f":green[:material/check_circle:] Scored {count:,} answers in {trial.seconds:.2f} s.")
    st.caption(output.escape(trial.verdict()))
    if trial.mean is not None and trial.lowest is not None and trial.highest is not None:
        opinion = f" No opinion on {trial.missing:.0%} of them." if trial.missing else ""
        st.caption(f"Lowest {trial.lowest:.2f}, mean {trial.mean:.2f}, highest {trial.highest:.2f}.{opinion}")
