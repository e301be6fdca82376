"""The studio in one run of the script: the page that is open, under the menu. `studio/app.py` serves it."""

import streamlit as st

from core.errors import StorageError
from core.paths import ASSETS
from studio import navigation, output, settings

st.set_page_config(page_title="GRPO Studio", page_icon=str(ASSETS / "icon.svg"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), size="large")
page = st.navigation(navigation.pages(), position="top")
try:
    settings.open_home()
except StorageError as error:
    output.problem(error)
    st.stop()
page.run()
