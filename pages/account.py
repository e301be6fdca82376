"""Who is signed in, and what they may do."""

import streamlit as st

from core.access.actors import current_actor
from studio import account

st.title("You", anchor=False)
account.draw(current_actor())
