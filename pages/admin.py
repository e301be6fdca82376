"""For administrators: who may do what, what was done, how much room is used, which versions run."""

import streamlit as st

from core.access.permissions import allow
from core.errors import StudioError
from studio import admin_audit, admin_people, admin_room, output, settings

home = settings.open_home()

st.title("Administration", anchor=False)
try:
    allow("access.change")
except StudioError as error:
    output.problem(error)
    st.stop()
people, log, room = st.tabs(["People and roles", "Audit log", "Room and versions"])
with people:
    admin_people.draw(home)
with log:
    admin_audit.draw(home)
with room:
    admin_room.draw(home)
