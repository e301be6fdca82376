"""What will run: the amount, the reward, the memory, what is changed, and what stands against it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.config import RunConfig
from core.errors import StudioError
from core.paths import Home
from core.presets import SIZES, size_note
from core.runs.difference import difference
from core.training import capabilities, memory
from core.training.advice import Finding
from core.training.fields import label
from core.training.memory import Estimate, NoEstimate
from core.training.model_shape import model_shape
from studio import findings, lab_stress, output, run_place, state, this_machine, words
from studio.train_origin import Cloned, Origin


def draw(home: Home, config: RunConfig, size: str | None, start: Origin) -> bool:
    """Say what the run will do and what stands against it; returns whether it can be started."""
    st.write(words.plan(config))
    st.write(f"Reward of a valid completion: {words.formula(config.reward.weights)}, within −1 and 1.")
    st.write(f"An invalid completion earns {config.reward.invalid_reward:g}.")
    if size and size_note(size, config) != SIZES[size].note:
        st.caption(size_note(size, config))
    _beside(start)
    if start.cloned:
        _differences(start.cloned, config)
    try:
        machine = this_machine.for_runs(home)
    except StudioError as error:
        output.problem(error)
        return False
    found = memory.estimate(config, home, machine)
    _memory(found)
    against = capabilities.refusals(config, machine, model_shape(config.model, home))
    against += memory.findings(config, home, machine)
    findings.draw(against, "refused", state.apply)
    _mend_all(against)
    run_place.of_new()
    return _say_what_slips_through(home, config) and all(finding.level != "stop" for finding in against)


def _mend_all(against: Sequence[Finding]) -> None:
    """One click for the first way out of everything that stops the run."""
    stops = [finding for finding in against if finding.level == "stop" and finding.mends]
    if len(stops) > 1:
        changes = {path: value for finding in stops for path, value in finding.mends[0].changes.items()}
        st.button(
            f"Mend all {len(stops)} at once",
            key="mend_all",
            icon=":material/build:",
            width="stretch",
            on_click=state.apply,
            args=(changes,),
        )


def _beside(start: Origin) -> None:
    """Changes for which there is no widget, and the way to take them back."""
    changes = state.changes_beside(start.prefix)
    if changes:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Changed beside the settings: {output.escape(', '.join(map(label, changes)))}.")
            st.button("Take back", key="take_back", type="tertiary", on_click=changes.clear)


def _differences(cloned: Cloned, config: RunConfig) -> None:
    """What differs from the run that is cloned."""
    found = difference(cloned.before, config)
    if not found:
        st.caption("Nothing differs from that run yet.")
        return
    frame = pd.DataFrame([{"Setting": row.label, "That run": row.left, "This run": row.right} for row in found])
    config_of = {column: st.column_config.TextColumn() for column in frame.columns}
    st.dataframe(frame, hide_index=True, column_config=config_of, key="clone_difference")


def _memory(found: Estimate | NoEstimate) -> None:
    """How much memory the run needs at most, part by part."""
    if isinstance(found, NoEstimate):
        st.caption(output.escape(found.reason))
        return
    rough = "" if found.measured else ", roughly, since the model is not on this machine yet"
    free = "" if found.free is None else f"; {found.free / 1e9:.1f} GB are free"
    with st.expander(
        f"Needs up to {found.total / 1e9:.1f} GB of {memory.PLACES[found.place]}{rough}{free}", icon=":material/memory:"
    ):
        st.dataframe(_parts(found), hide_index=True, key="memory_parts")
        st.caption("Writing completions and learning from them do not happen at once, so the larger of the two counts.")


def _parts(found: Estimate) -> pd.DataFrame:
    rows = {
        "Model weights": found.weights,
        "Adapter and its gradient": found.adapter,
        "Optimiser": found.optimizer,
        "Models behind the reward": found.scorers,
        "Python, PyTorch and the driver": found.runtime,
        "Writing: keys and values, or vLLM": found.cache,
        "Learning: activations": found.activations,
        "Learning: logits": found.logits,
    }
    return pd.DataFrame([{"What": what, "GB": round(size / 1e9, 2)} for what, size in rows.items()])


def _say_what_slips_through(home: Home, config: RunConfig) -> bool:
    """The stress set's warning; returns whether the reward can be had at all."""
    try:
        lab_stress.before_start(home, config.reward)
    except StudioError as error:
        output.problem(error)
        return False
    return True
