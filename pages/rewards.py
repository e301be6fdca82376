"""See what a reward would teach, on sample completions, before a model is trained with it."""

import streamlit as st

from core.errors import StudioError
from studio import lab_add, lab_board, lab_live, lab_source, lab_tasks, lab_views, output, settings

home = settings.open_home()

st.title("Rewards", anchor=False)
st.write(
    "Every question here has a group of completions: several answers to it. Training makes those with the higher "
    "reward likelier and the others rarer. Move a weight and see which."
)
views, source, more = st.columns([10, 7, 3], gap="small")
with views:
    chosen = lab_views.choose()
with source:
    board_id = lab_source.choose(home)
with more:
    lab_add.button(home, board_id)
lab_tasks.follow(home, "sample", "Nothing was kept of it. Write answers again.")
opened = None
try:
    opened = lab_board.open_board(home, board_id)
except StudioError as error:
    output.problem(error)
if opened and chosen == lab_views.WEIGHTS:
    lab_source.measure(home, opened)
    lab_live.draw(home, opened)
elif opened:
    lab_views.draw(chosen, home, opened)
