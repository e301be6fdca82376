"""The entry point: `python -m streamlit run studio/app.py`. The server, with one route of its own for downloads."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `streamlit run` adds studio/, not the repository's root
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from studio import downloads  # noqa: E402

app = st.App(ROOT / "studio" / "main.py", routes=downloads.routes())
