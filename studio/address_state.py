"""What a page keeps in its address: the view that is chosen, and what is open in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

VIEW = "view"


@dataclass(frozen=True)
class Views:
    """The row of views of a page; the one that is chosen stands in the address.

    Attributes:
        page: what the keys of its widgets begin with.
        titles: how each view reads, by its name; the first is drawn when the address names none.
    """

    page: str
    titles: Mapping[str, str]

    @property
    def first(self) -> str:
        """The view of an address that names none."""
        return next(iter(self.titles))

    def chosen(self) -> str:
        """Which view the address asks for."""
        asked = st.query_params.get(VIEW, self.first)
        return asked if asked in self.titles else next(iter(self.titles))

    def show(self, name: str) -> None:
        """Draw this view from the next run of the page on."""
        st.query_params[VIEW] = name

    def selector(self) -> str:
        """The row itself; returns the view to be drawn."""
        st.session_state[self._key] = self.chosen()
        st.segmented_control(
            "View",
            list(self.titles),
            required=True,
            key=self._key,
            format_func=self.titles.__getitem__,
            label_visibility="collapsed",
            on_change=self._keep,
        )
        return self.chosen()

    def _keep(self) -> None:
        self.show(st.session_state[self._key])

    @property
    def _key(self) -> str:
        return f"{self.page}.view"


@dataclass(frozen=True)
class OpenedViews(Views):
    """The views of a page on which one thing of many is open; the first view sets a new one up.

    Attributes:
        name: the query parameter that names what is open.
        shown: the view in which something is opened.
        label: what the box is called in which it is chosen, with "Open" before it for who sees it.
        width: of the box, in pixels.
    """

    name: str
    shown: str
    label: str
    width: int

    @property
    def first(self) -> str:
        """That of what is open, where the address names something; else the set-up."""
        return self.shown if self.opened() else next(iter(self.titles))

    def query(self, opened: str) -> dict[str, str]:
        """The query parameters of the page with this open."""
        return {self.name: opened, VIEW: self.shown}

    def opened(self) -> str | None:
        """The id of what is open."""
        return st.query_params.get(self.name)

    def open(self, opened: str | None) -> None:
        """Show this from the next run of the page on; None closes it and shows the set-up."""
        if opened is None:
            st.query_params.pop(self.name, None)
            self.show(next(iter(self.titles)))
            return
        st.query_params.from_dict(self.query(opened))

    def box(self, titles: Mapping[str, str], current: str | None) -> None:
        """The box in which is chosen what is open; the view stays.

        Args:
            titles: how each reads, by its id; the one that is open is among them.
        """
        st.session_state[self._box] = current
        st.selectbox(
            self.label.capitalize(),
            list(titles),
            index=None if current is None else 0,  # what is open cannot be cleared, only changed
            key=self._box,
            format_func=titles.__getitem__,
            placeholder=f"Open an {self.label}",
            label_visibility="collapsed",
            on_change=self._keep_opened,
            width=self.width,
        )

    def _keep_opened(self) -> None:
        chosen = st.session_state[self._box]
        if chosen:
            st.query_params[self.name] = chosen
            setup = next(iter(self.titles))
            self.show(self.shown if self.chosen() == setup else self.chosen())

    @property
    def _box(self) -> str:
        return f"{self.page}.open"
