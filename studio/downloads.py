"""Hands out files of any size straight from the disk.

`st.download_button` reads a file into the memory of the studio and keeps it there while the page is open. The address
of a download here is signed, so that it opens nothing but what a page has offered, only for whom it was offered, and
only for some hours. A download that broke off goes on where it was (HTTP ranges); only a zip, which is made while it is
sent, begins anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import streamlit as st
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from core.access.actors import Actor, Source, acting_as
from core.access.audit import record
from core.access.permissions import allow
from core.errors import AccessDenied, DataError, StudioError
from core.export.manifest import FileEntry
from core.export.store import Export, find_export
from core.export.zip_stream import NO_TEXTS, zip_stream
from core.paths import Home, inside
from studio import access, identity, settings

_PATH = "downloads"
_SIGNED = URLSafeTimedSerializer(secrets.token_bytes(32), salt=_PATH)
SUMS = "SHA256SUMS"
"""In the zip of a whole export: what `sha256sum --check` reads, to see whether everything arrived as it was made."""
_HOURS = 12
"""How long an address holds."""
_GONE = "This file is not offered any more. Open the page Export again and choose it there."
_OTHER = "This address was made for somebody else. Open the page Export yourself and choose the file there."
_HEADERS = {
    "Content-Encoding": "identity",  # weights do not get smaller, and trying takes a core
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_OCTETS, _ZIP = "application/octet-stream", "application/zip"


class Download(BaseModel):
    """What an address stands for.

    Attributes:
        run, export: whose export it is.
        path: of the file, or of the folder that is packed, inside the export's folder.
        form: whether it is sent as it is, or packed.
        name, source: whom it is offered to, and how they are known.
        browser: a mark of the browser in which they are signed in; see `studio.identity.browser_mark`.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    export: str
    path: str
    form: Literal["file", "zip"] = "file"
    name: str
    source: Source
    browser: str = ""


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
    offer = access.needs("file.download", help=help_text)
    st.link_button(
        label,
        "" if offer.disabled else address(offered(export, path, packed)),
        icon=icon,
        key=key,
        type="primary" if primary else "secondary",
        help=offer.help,
        disabled=offer.disabled,
    )


def offered(export: Export, path: str, packed: bool = False) -> Download:
    """A file of an export, or a folder of it as a zip, for whoever asks now.

    Raises:
        AccessDenied: they may not download files.
    """
    actor = allow("file.download")
    return Download(
        run=export.run_id,
        export=export.id,
        path=path,
        form="zip" if packed else "file",
        name=actor.name,
        source=actor.source,
        browser=identity.browser_mark(st.context.cookies),
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
        wanted = Download.model_validate(_SIGNED.loads(request.path_params["signed"], max_age=_HOURS * 3600))
        actor = _asking(wanted, request)
        return await run_in_threadpool(_allowed, settings.open_home(), wanted, actor, request)
    except AccessDenied as error:
        return PlainTextResponse(str(error), status_code=403)
    except (BadSignature, ValidationError, StudioError, OSError):
        return PlainTextResponse(_GONE, status_code=404)


def _asking(wanted: Download, request: Request) -> Actor:
    """Whoever the address was made for, when it is they who ask, with the role that they have now.

    Raises:
        AccessDenied: somebody else asks, or they have signed out.
    """
    if wanted.source == "proxy" and identity.from_proxy(request.headers.getlist(identity.USER_HEADER)) != wanted.name:
        raise AccessDenied(_OTHER)
    if wanted.source == "oidc" and identity.browser_mark(request.cookies) != wanted.browser:
        raise AccessDenied(_OTHER)
    return Actor(wanted.name, identity.role_for(wanted.name, wanted.source), wanted.source)


def _allowed(home: Home, wanted: Download, actor: Actor, request: Request) -> Response:
    """What is sent to somebody who may have it, which is written into the audit log.

    Raises:
        AccessDenied: they may not any more.
        StudioError, OSError: as `_response` raises them.
    """
    with acting_as(actor):
        allow("file.download")
        only_headers = request.method == "HEAD"
        response = _response(home, wanted, only_headers)
        if not only_headers and response.status_code < 400:
            part = request.headers.get("range", "all")
            record(home, "file.download", wanted.export, run=wanted.run, path=wanted.path, form=wanted.form, part=part)
    return response


def _response(home: Home, wanted: Download, only_headers: bool) -> Response:
    """What is sent.

    Args:
        only_headers: nobody reads the body, so a zip need not be made.

    Raises:
        StudioError: the export, or the file, is gone, or the path leads out of it.
        OSError: the file cannot be looked at.
    """
    export = find_export(home, wanted.export, wanted.run)
    place = inside(export.folder, export.folder / wanted.path)
    if wanted.form == "zip":
        return _zip_response(export, wanted.path, only_headers)
    if not place.is_file():
        raise DataError(_GONE)
    return FileResponse(place, media_type=_OCTETS, filename=place.name, headers=_HEADERS)


def _zip_response(export: Export, path: str, only_headers: bool) -> Response:
    """A folder of an export as a zip, or why it cannot be packed."""
    try:
        entries = entries_below(export, path)
    except DataError as error:
        return PlainTextResponse(str(error), status_code=409)
    whole = path == "."
    name = export.slug if whole else f"{export.slug}-{Path(path).name}"
    headers = {**_HEADERS, "Content-Disposition": f'attachment; filename="{name}.zip"'}
    if only_headers:
        return Response(media_type=_ZIP, headers=headers)
    sums = "".join(f"{entry.sha256}  {entry.path}\n" for entry in entries)
    files = [export.folder / entry.path for entry in entries]
    return StreamingResponse(
        zip_stream(export.folder, files, export.slug, {SUMS: sums} if whole else NO_TEXTS),
        media_type=_ZIP,
        headers=headers,
    )


def entries_below(export: Export, path: str) -> Sequence[FileEntry]:
    """The finished files below a folder of an export, `.` being all of it; none that is just being written.

    Raises:
        DataError: one is gone or has another size than it was made with, so a zip would not be whole; or the export is
            damaged.
    """
    manifest = export.manifest()
    entries = manifest.files if path == "." else manifest.under(path)
    for entry in entries:
        file = export.folder / entry.path
        if file.is_symlink() or not file.is_file() or file.stat().st_size != entry.bytes:
            raise DataError(
                f"{entry.path} is missing, or has changed since it was made, so the zip would not be whole. Make a new "
                "export, or download the files that are there one by one."
            )
    return entries
