"""The studio in one run of the script: the page that is open, under the menu. `studio/app.py` serves it."""

import streamlit as st

from core.access.permissions import permitted
from core.errors import StudioError
from core.paths import ASSETS
from studio import identity, navigation, output, settings, sign_in

st.set_page_config(page_title="GRPO Studio", page_icon=str(ASSETS / "icon.svg"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), size="large")
identity.require()
try:
    home = settings.open_home()
    actor = identity.who()
except StudioError as error:
    st.navigation(navigation.pages(), position="hidden")
    if isinstance(error, identity.SignInNeeded):
        sign_in.draw(error)
    else:
        output.problem(error)
    st.stop()
page = st.navigation(navigation.pages(actor, permitted(actor, "audit.read")), position="top")
sign_in.warn(home)
page.run()
