"""The entry point: `python -m streamlit run studio/app.py`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `streamlit run` adds studio/, not the repository's root
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from core.errors import StorageError  # noqa: E402
from core.paths import ASSETS  # noqa: E402
from studio import navigation, output, settings  # noqa: E402

st.set_page_config(page_title="GRPO Studio", page_icon=str(ASSETS / "icon.svg"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), size="large")
page = st.navigation(navigation.pages(), position="top")
try:
    settings.open_home()
except StorageError as error:
    output.problem(error)
    st.stop()
page.run()
