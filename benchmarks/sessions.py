"""A browser session without a browser: Streamlit's own messages over a real WebSocket.

It asks as Streamlit's client does: it opens pages, clicks, fills in, runs those parts of a page again whose time has
come, follows a changed address, and names the messages that it has kept, which are then sent by their hash alone. What
it does not do is draw.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, suppress

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

_PATIENCE_SECONDS = 60.0
"""A page that takes longer counts as broken."""
_MOST_KEPT = 400
"""Messages that can be sent by their hash alone; those that are named in a request have just been drawn."""


class Session:
    """One open tab.

    Attributes:
        page: the name of the page in its address; empty for the first one.
        query: what stands behind the question mark.
        menu: the titles of the pages that are offered.
        problem: the first exception that a page has shown, empty while there is none.
    """

    def __init__(self, url: str, connection: ClientConnection) -> None:
        self._url = url
        self._connection = connection
        self.page = self.query = self.problem = ""
        self.menu: list[str] = []
        self._page_hash = ""
        self._hashes: dict[str, str] = {}
        self._elements: dict[tuple[int, ...], ForwardMsg] = {}
        self._stale: set[tuple[int, ...]] = set()
        self._sent: dict[str, ForwardMsg] = {}
        self._held: dict[str, WidgetState] = {}
        self._repeats: dict[str, asyncio.Task[None]] = {}
        self._finished = asyncio.Event()
        self._awaited = ""
        self._awaited_runs = False
        self._drawn = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def open(self, page: str, query: str = "") -> float:
        """Go to a page by its name, and wait until all of it is there; returns the seconds that took."""
        self.page, self.query = page, query
        self._page_hash = self._hashes.get(page, "")
        self._held.clear()
        return await self._run(self._with())

    async def click(self, key: str) -> float:
        """Press the button with this key, and wait for what comes of it; returns the seconds that took.

        Raises:
            LookupError: the page shows none.
        """
        found, part = self._widget(key)
        return await self._run(self._with(part, WidgetState(id=found, trigger_value=True)))

    async def fill(self, key: str, value: str | float) -> float:
        """Write into the text field with this key, or move the slider, and wait likewise.

        Raises:
            LookupError: the page shows none.
        """
        found, part = self._widget(key)
        state = WidgetState(id=found)
        if isinstance(value, str):
            state.string_value = value
        else:
            state.double_array_value.data.append(value)
        self._held[found] = state
        return await self._run(self._with(part))

    async def until(self, text: str) -> None:
        """Wait until the page says this somewhere, as its parts are drawn again.

        Raises:
            TimeoutError: it never does.
        """
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not self.shows(text):
                self._drawn.clear()
                await self._drawn.wait()

    def shows(self, text: str) -> bool:
        """Whether the page says this somewhere."""
        return bool(self.saying(text))

    def saying(self, text: str) -> list[str]:
        """What on the page says this, each in the text form of the protocol."""
        sought = text.encode()
        return [str(drawn.delta) for drawn in self._elements.values() if sought in drawn.delta.SerializeToString()]

    def widget_keys(self) -> list[str]:
        """The keys of the widgets on the page, in no order."""
        return [found.split("-", 2)[2] for found, _ in self._widgets()]

    def _widget(self, key: str) -> tuple[str, str]:
        for found, part in self._widgets():
            if found.endswith(f"-{key}"):
                return found, part
        raise LookupError(f"There is no widget {key!r} on the page {self.page!r}.")

    def _widgets(self) -> Iterator[tuple[str, str]]:
        """The id of each widget, `$$ID-<hash>-<key>`, and of the part of the page it is in; none for the whole."""
        for drawn in self._elements.values():
            element = drawn.delta.new_element
            kind = element.WhichOneof("type")
            found: str = getattr(getattr(element, kind), "id", "") if kind else ""
            if found.count("-") > 1:
                yield found, drawn.delta.fragment_id

    def _with(self, part: str = "", *triggers: WidgetState) -> BackMsg:
        message = BackMsg()
        message.rerun_script.fragment_id = part
        message.rerun_script.widget_states.widgets.extend([*self._held.values(), *triggers])
        return message

    async def _run(self, message: BackMsg) -> float:
        """Have the page run, and wait for its end.

        Raises:
            TimeoutError: it does not end.
        """
        self._finished.clear()
        self._awaited_runs = False
        self._awaited = message.rerun_script.fragment_id
        start = time.perf_counter()
        await self._send(message)
        ended = asyncio.create_task(self._finished.wait())
        await asyncio.wait({ended, self._listening}, timeout=_PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not self._finished.is_set():
            raise TimeoutError(f"The page {self.page!r} has not come to its end, or the server has hung up.")
        return time.perf_counter() - start

    async def _send(self, message: BackMsg) -> None:
        asked = message.rerun_script
        asked.query_string, asked.page_script_hash, asked.page_name = self.query, self._page_hash, self.page
        asked.cached_message_hashes.extend({drawn.hash for drawn in self._elements.values() if _kept(drawn)})
        asked.context_info.url = f"{self._url}/{self.page}"
        asked.context_info.timezone, asked.context_info.locale = "UTC", "en"
        await self._connection.send(message.SerializeToString())

    async def _listen(self) -> None:
        """Take in what the server sends until the connection is closed."""
        async for data in self._connection:
            message = ForwardMsg()
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            self._take(message)

    def _take(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "ref_hash":
                whole = ForwardMsg()
                whole.CopyFrom(self._sent[message.ref_hash])
                whole.metadata.CopyFrom(message.metadata)
                self._take(whole)
            case "new_session":
                self._begin(message.metadata.run.fragment_ids)
            case "navigation":
                pages = message.navigation.app_pages
                self._hashes = {"" if page.is_default else page.url_pathname: page.page_script_hash for page in pages}
                self.menu = [page.page_name for page in pages]
                self._page_hash = message.navigation.page_script_hash
            case "page_info_changed":
                self.query = message.page_info_changed.query_string
            case "auto_rerun":
                self._repeat(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            case "delta":
                self._draw(message)
            case "script_finished":
                self._end(message.script_finished, message.metadata.run.fragment_ids)

    def _begin(self, parts: Collection[str]) -> None:
        """The page, or some parts of it, are about to be drawn anew.

        The end of the run before may not have been told: Streamlit loses it when a part's time comes just then.
        """
        if self._awaited_runs:
            self._finished.set()
        self._awaited_runs = not parts or self._awaited in parts
        if parts:
            self._stale = {place for place, drawn in self._elements.items() if drawn.delta.fragment_id in parts}
        else:
            self._stale = set(self._elements)
            self._stop_repeats()

    def _draw(self, message: ForwardMsg) -> None:
        place = tuple(message.metadata.delta_path)
        self._stale.discard(place)
        self._elements[place] = message
        if _kept(message):
            self._sent[message.hash] = message
            if len(self._sent) > _MOST_KEPT:
                self._sent.pop(next(iter(self._sent)))
        if message.delta.new_element.HasField("exception"):
            shown = message.delta.new_element.exception
            self.problem = self.problem or f"{shown.type}: {shown.message}"

    def _end(self, how: int, parts: Collection[str]) -> None:
        """What was not drawn again is gone; a page that was broken off to run again has not ended yet."""
        self._awaited_runs = False
        if how not in (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY):
            return
        for place in self._stale:
            self._elements.pop(place, None)
        self._stale.clear()
        self._drawn.set()
        if not parts or self._awaited in parts:
            self._finished.set()

    def _repeat(self, part: str, seconds: float) -> None:
        """Have a part of the page run again every so many seconds."""

        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                message = self._with(part)
                message.rerun_script.is_auto_rerun = True
                await self._send(message)

        if part in self._repeats:
            self._repeats[part].cancel()
        self._repeats[part] = asyncio.create_task(repeat())

    def _stop_repeats(self) -> None:
        for task in self._repeats.values():
            task.cancel()
        self._repeats.clear()

    async def close(self) -> None:
        """Leave; raises what it could not take in."""
        self._stop_repeats()
        self._listening.cancel()
        with suppress(asyncio.CancelledError, ConnectionClosed):
            await self._listening


def _kept(message: ForwardMsg) -> bool:
    """Whether a browser keeps the message while it shows it."""
    return bool(message.metadata.cacheable)


@asynccontextmanager
async def session(url: str, headers: Mapping[str, str] = {}) -> AsyncIterator[Session]:
    """A new tab on the studio at this address; `headers` are those that a proxy would add."""
    stream = f"{url.replace('http', 'ws', 1)}/_stcore/stream"
    async with connect(
        stream,
        origin=Origin(url),
        subprotocols=[Subprotocol("streamlit")],
        additional_headers=dict(headers),
        max_size=None,
        proxy=None,
    ) as connection:
        opened = Session(url, connection)
        try:
            yield opened
        finally:
            await opened.close()
