"""Text that goes into files of other programs."""

from __future__ import annotations

import pytest

from core.text import neutral_cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert neutral_cell(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"
