"""Hands out files of any size straight from the disk.

`st.download_button` reads a file into the memory of the studio and keeps it there while the page is open. The address
of a download here is signed, so that it opens nothing but what a page has offered, and holds until the studio ends. A
download that broke off goes on where it was (HTTP ranges); only a zip, which is made while it is sent, begins anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import streamlit as st
from itsdangerous import BadSignature, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from core.errors import DataError, StudioError
from core.export.store import Export, find_export
from core.export.zip_stream import zip_stream
from core.paths import Home, inside
from studio import settings

_PATH = "downloads"
_SIGNED = URLSafeSerializer(secrets.token_bytes(32), salt=_PATH)
_GONE = "This file is not offered any more. Open the page Export again and choose it there."
_HEADERS = {
    "Content-Encoding": "identity",  # weights do not get smaller, and trying takes a core
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_OCTETS = "application/octet-stream"


class Download(BaseModel):
    """What an address stands for.

    Attributes:
        run, export: whose export it is.
        path: of the file, or of the folder that is packed, inside the export's folder.
        form: whether it is sent as it is, or packed.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    export: str
    path: str
    form: Literal["file", "zip"] = "file"


def button(
    label: str,
    export: Export,
    path: str,
    key: str,
    packed: bool = False,
    icon: str = ":material/download:",
    primary: bool = False,
    help_text: str | None = None,
) -> None:
    """A button that downloads a file of an export, or a folder of it as a zip.

    Args:
        path: inside the export's folder; `.` is all of it.
    """
    st.link_button(
        label,
        address(Download(run=export.run_id, export=export.id, path=path, form="zip" if packed else "file")),
        icon=icon,
        key=key,
        type="primary" if primary else "secondary",
        help=help_text,
    )


def address(wanted: Download) -> str:
    """Where the browser finds it, beginning at the studio's root."""
    return f"{_root()}/{_PATH}/{_SIGNED.dumps(wanted.model_dump())}"


def _root() -> str:
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def routes() -> list[Route]:
    """What the server answers beside Streamlit's own addresses."""
    return [Route(f"{_root()}/{_PATH}/{{signed}}", _answer, methods=["GET"])]


async def _answer(request: Request) -> Response:
    try:
        wanted = Download.model_validate(_SIGNED.loads(request.path_params["signed"]))
        return await run_in_threadpool(_response, settings.open_home(), wanted)
    except (BadSignature, ValidationError, StudioError, OSError):
        return PlainTextResponse(_GONE, status_code=404)


def _response(home: Home, wanted: Download) -> Response:
    """What is sent.

    Raises:
        StudioError: the export, or the file, is gone, or the path leads out of it.
        OSError: the file cannot be looked at.
    """
    export = find_export(home, wanted.export, wanted.run)
    place = inside(export.folder, export.folder / wanted.path)
    if wanted.form == "zip":
        files = files_of(export, wanted.path)
        name = export.slug if wanted.path == "." else f"{export.slug}-{Path(wanted.path).name}"
        return StreamingResponse(
            zip_stream(export.folder, files, export.slug),
            media_type="application/zip",
            headers={**_HEADERS, "Content-Disposition": f'attachment; filename="{name}.zip"'},
        )
    if not place.is_file():
        raise DataError(_GONE)
    return FileResponse(place, media_type=_OCTETS, filename=place.name, headers=_HEADERS)


def files_of(export: Export, path: str) -> Sequence[Path]:
    """The finished files below a folder of an export; none that is just being written."""
    listed = [export.folder / entry.path for entry in export.manifest().files]
    below = export.folder / path
    return [file for file in listed if file.is_file() and (below == export.folder or file.is_relative_to(below))]
