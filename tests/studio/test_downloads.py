"""Files of an export, handed out straight from the disk."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from core.access.actors import Actor, acting_as
from core.access.audit import read_log
from core.access.policy import grant
from core.access.ways import IDENTITY
from core.errors import AccessDenied
from core.export.manifest import file_entries
from core.export.store import Export, delete_export
from core.jobs.tasks import silent
from core.paths import Home
from studio import downloads
from studio.identity import browser_mark
from tests.build_async import run_apart
from tests.build_export import exportable_run, made_up_export


@dataclass
class Reply:
    """What the server sent; a body that is not kept is only counted."""

    keep: bool = True
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    size: int = 0

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        part = message.get("body", b"")
        self.size += len(part)
        if self.keep:
            self.body += part


def get(address: str, headers: Mapping[str, str] | None = None, keep: bool = True, method: str = "GET") -> Reply:
    """Ask the studio's server for an address, as a browser that takes compressed answers would."""
    sent = {"accept-encoding": "gzip", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": address,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
    reply = Reply(keep)

    async def nothing_more() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    app = Starlette(routes=downloads.routes(), middleware=[Middleware(GZipMiddleware)])
    run_apart(app(scope, nothing_more, reply.take))
    return reply


@pytest.fixture
def export(home: Home, tmp_path: Path) -> Export:
    return made_up_export(home, exportable_run(home, tmp_path / "base"), title="Ward 7")


def wanted(export: Export, path: str, packed: bool = False) -> str:
    return downloads.address(downloads.offered(export, path, packed))


def test_a_file_arrives_as_it_is_under_its_own_name(export: Export) -> None:
    file = export.file_of("gguf_q4_k_m")
    reply = get(wanted(export, f"gguf/{file.name}"))
    assert (reply.status, reply.body) == (200, file.read_bytes())
    assert reply.headers["content-disposition"] == f'attachment; filename="{file.name}"'
    assert reply.headers["content-length"] == str(file.stat().st_size)


def test_a_download_that_broke_off_goes_on_where_it_was(export: Export) -> None:
    file = export.file_of("gguf_f16")
    reply = get(wanted(export, f"gguf/{file.name}"), {"range": "bytes=100-"})
    assert (reply.status, reply.body) == (206, file.read_bytes()[100:])


def test_a_zip_holds_what_the_manifest_names_and_nothing_else(export: Export) -> None:
    (export.folder / ".part-merged").mkdir()
    (export.folder / ".part-merged" / "half").write_bytes(b"half")
    (export.folder / "parity.json").write_text("{}")  # holds questions of the run's data
    reply = get(wanted(export, ".", packed=True))
    assert reply.headers["content-disposition"] == 'attachment; filename="ward-7.zip"'
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        hashes = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    assert hashes.pop(f"ward-7/{downloads.SUMS}")
    assert hashes == {f"ward-7/{entry.path}": entry.sha256 for entry in export.manifest().files}


def test_the_zip_of_everything_tells_how_to_check_what_arrived(export: Export, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(get(wanted(export, ".", packed=True)).body)) as archive:
        archive.extractall(tmp_path / "arrived")
    folder = tmp_path / "arrived" / "ward-7"
    told = [line.partition("  ") for line in (folder / downloads.SUMS).read_text().splitlines()]
    assert len(told) == len(export.manifest().files)
    assert all(hashlib.sha256((folder / path).read_bytes()).hexdigest() == found for found, _, path in told)


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"cut")])
def test_a_zip_that_would_not_be_whole_is_refused_before_the_first_byte(
    export: Export, harm: Callable[[Path], object]
) -> None:
    harm(export.folder / "merged" / "config.json")
    for path in (".", "merged"):
        reply = get(wanted(export, path, packed=True))
        assert reply.status == 409 and b"merged/config.json is missing, or has changed" in reply.body
    assert get(wanted(export, "gguf", packed=True)).status == 200


def test_who_asks_for_the_headers_of_a_zip_gets_no_zip(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    address = wanted(export, ".", packed=True)
    whole = get(address)
    monkeypatch.setattr(downloads, "zip_stream", None)  # whoever packs fails
    reply = get(address, method="HEAD")
    assert (reply.status, reply.size) == (200, 0)
    assert reply.headers["content-disposition"] == whole.headers["content-disposition"]


def test_a_zip_of_one_form_holds_that_form_alone(export: Export) -> None:
    reply = get(wanted(export, "merged", packed=True))
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        assert {name.split("/")[1] for name in archive.namelist()} == {"merged"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_file_is_not_held_in_memory(export: Export, packed: bool) -> None:
    file, size = export.file_of("gguf_f16"), 96 << 20
    with file.open("r+b") as opened:
        opened.truncate(size)
    export.keep_manifest(export.manifest().with_files(file_entries(export.folder, [file], silent)))
    address = wanted(export, "gguf" if packed else f"gguf/{file.name}", packed)
    tracemalloc.start()
    try:
        reply = get(address, keep=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reply.status == 200 and reply.size >= size
    assert peak < 24 << 20


def test_an_address_that_no_page_has_offered_opens_nothing(export: Export) -> None:
    address = wanted(export, "merged/config.json")
    assert get(address).status == 200
    signature = address.rindex(".") + 1
    other = "A" if address[signature] != "A" else "B"
    for changed in (address[:signature] + other + address[signature + 1 :], address[: signature - 1], "/downloads/x"):
        reply = get(changed)
        assert reply.status == 404 and str(export.folder) not in reply.body.decode()


@pytest.mark.parametrize("path", ["../../config.json", "/etc/passwd", "gguf", "gone.gguf"])
def test_a_path_that_leads_elsewhere_or_to_no_file_opens_nothing(export: Export, path: str) -> None:
    assert get(wanted(export, path)).status == 404


def test_a_link_out_of_the_export_is_not_followed(export: Export, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (export.folder / "merged" / "link.json").symlink_to(secret)
    assert get(wanted(export, "merged/link.json")).status == 404


def test_what_was_deleted_is_not_offered_any_more(home: Home, export: Export) -> None:
    address = wanted(export, "merged/config.json")
    delete_export(home, export)
    reply = get(address)
    assert reply.status == 404 and b"not offered any more" in reply.body


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """People come through a proxy."""
    monkeypatch.setenv(IDENTITY, "proxy")


def wanted_by(actor: Actor, export: Export) -> str:
    with acting_as(actor):
        return wanted(export, "merged/config.json")


@pytest.mark.usefixtures("shared")
def test_an_address_opens_for_whom_it_was_made(home: Home, export: Export) -> None:
    grant(home, "ben", "editor")
    address = wanted_by(Actor("ben", "editor", "proxy"), export)
    assert get(address, {"remote-user": "ben"}).status == 200
    for other in ({}, {"remote-user": "cleo"}):
        reply = get(address, other)
        assert (reply.status, b"sha256" in reply.body) == (403, False)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(("name", "header"), [("Zoà Ünal", "Zoà Ünal"), ("ada unal", "ada  unal")])
def test_a_name_beyond_ascii_or_with_needless_space_opens_its_own_address(
    home: Home, export: Export, name: str, header: str
) -> None:
    grant(home, name, "editor")
    address = wanted_by(Actor(name, "editor", "proxy"), export)
    assert get(address, {"remote-user": header}).status == 200


@pytest.mark.usefixtures("shared")
def test_whoever_has_lost_their_role_downloads_nothing_more(home: Home, export: Export) -> None:
    address = wanted_by(Actor("ben", "editor", "proxy"), export)
    assert get(address, {"remote-user": "ben"}).status == 403


def test_an_address_is_of_no_use_in_another_browser_or_after_signing_out(home: Home, export: Export) -> None:
    grant(home, "ada@clinic.org", "editor")
    with acting_as(Actor("ada@clinic.org", "editor", "oidc")):
        offered = downloads.offered(export, "merged/config.json")
    signed_in = {"_streamlit_user": "ada"}
    address = downloads.address(offered.model_copy(update={"browser": browser_mark(signed_in)}))
    assert get(address, {"cookie": "_streamlit_user=ada"}).status == 200
    assert get(address, {"cookie": "_streamlit_user=ben"}).status == 403
    assert get(address).status == 403


def test_an_address_holds_for_some_hours(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    address = wanted(export, "merged/config.json")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)
    assert get(address).status == 404


def test_a_viewer_is_offered_nothing(export: Export) -> None:
    with pytest.raises(AccessDenied, match="download"):
        wanted_by(Actor("cleo", "viewer", "proxy"), export)


def test_every_download_is_written_down_with_its_part_and_none_that_failed(home: Home, export: Export) -> None:
    address = wanted(export, "merged/config.json")
    get(address)
    get(address, {"range": "bytes=5-"})
    get(address, method="HEAD")
    get(wanted(export, "gone"))
    found = [one for one in read_log(home) if one.action == "file.download"]
    assert [(one.subject, one.details["part"]) for one in found] == [(export.id, "all"), (export.id, "bytes=5-")]
