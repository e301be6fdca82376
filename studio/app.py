"""The entry point: `python -m streamlit run studio/app.py`. The server, with one route of its own for downloads."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `streamlit run` adds studio/, not the repository's root
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from streamlit import config  # noqa: E402

from core.access.ways import IDENTITY  # noqa: E402
from studio import borders, downloads, identity, output, proxy_header  # noqa: E402

if identity.named_by_secrets():
    os.environ[IDENTITY] = "oidc"  # so that jobs and the core know it too
# A session that lost its connection is taken up again by nobody but whose it was.
config.set_option("server.trustedUserHeaders", {identity.USER_HEADER: "name"})
app = st.App(
    ROOT / "studio" / "main.py",
    routes=downloads.routes(),
    middleware=[Middleware(borders.BorderGuard), Middleware(proxy_header.ProxyHeader)],
    on_script_error=output.uncaught,
)
