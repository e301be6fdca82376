"""What becomes of an upload."""

from __future__ import annotations

import pytest

from core.errors import DataError
from core.paths import Home
from studio.uploads import store_upload


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("questions.jsonl", "questions-"),
        ("../../etc/evil.jsonl", "evil-"),
        ("Fragen für Ärzte (neu).CSV", "fragen-f-r-rzte-neu-"),
        ("....csv", "data-"),
    ],
)
def test_an_upload_gets_a_name_of_our_own_inside_the_home(home: Home, name: str, stored: str) -> None:
    path = store_upload(home, name, b"question,answer\na,b\n")
    assert path.parent == home.data.resolve()
    assert path.name.startswith(stored)


def test_the_same_upload_is_kept_once(home: Home) -> None:
    assert store_upload(home, "a.csv", b"x") == store_upload(home, "a.csv", b"x")
    assert store_upload(home, "a.csv", b"x") != store_upload(home, "a.csv", b"y")
    assert len(list(home.data.iterdir())) == 2


def test_an_upload_of_another_kind_is_refused_with_the_remedy(home: Home) -> None:
    with pytest.raises(DataError, match=r"ends in '\.exe': choose a \.csv, .* \.parquet or \.xlsx file"):
        store_upload(home, "run.exe", b"MZ")
    assert not list(home.data.iterdir())
