"""Parts of a page that are drawn again alone."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from core.errors import RunError
    from studio import live

    def part(name: str) -> None:
        st.write(f"This is {name}.")
        raise RunError(f"*{name}* is gone.")

    live.refreshing(part, 60.0, "one")
    live.refreshing(part, None, "two")
    st.write("The rest.")


def test_a_part_says_what_can_be_mended_in_its_place_and_the_rest_is_drawn() -> None:
    at = AppTest.from_function(page, default_timeout=20).run()
    assert not at.exception
    assert [error.value for error in at.error] == [r"\*one\* is gone.", r"\*two\* is gone."]
    assert [text.value for text in at.markdown] == ["This is one.", "This is two.", "The rest."]
