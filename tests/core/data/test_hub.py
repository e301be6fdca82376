"""The Hub: every failure of the libraries becomes a sentence, and rows become Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, IterableDataset, SplitDict, SplitInfo
from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from core.engine import hub
from core.errors import DataError
from core.jobs.tasks import silent


def answer(status: int) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", "https://hub.invalid"))


def fetch(error: Exception | None, found: IterableDataset | None, target: Path, patch: pytest.MonkeyPatch) -> Path:
    def load_dataset(*arguments: Any, **options: Any) -> IterableDataset:
        assert options == {"split": "train", "streaming": True, "token": "secret"}
        if error is not None:
            raise error
        assert found is not None
        return found

    patch.setenv("HF_TOKEN", "secret")
    patch.setattr(hub, "load_dataset", load_dataset)
    return hub.download("owner/name", "en", "train", target, silent)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            DatasetNotFoundError("Dataset 'owner/name' doesn't exist on the Hub or cannot be accessed."),
            "There is no data",
        ),
        (RepositoryNotFoundError("404", response=answer(404)), "There is no data set 'owner/name'"),
        (DatasetNotFoundError("Dataset 'owner/name' is a gated dataset on the Hub."), "is gated, and your token"),
        (GatedRepoError("403", response=answer(403)), "is gated, and your token does not open it"),
        (HfHubHTTPError("401", response=answer(401)), "refuses to give owner/name (401). Check the token in HF_TOKEN"),
        (HfHubHTTPError("503", response=answer(503)), "answered with an error (503)"),
        (ConnectionError("Couldn't reach 'owner/name' on the Hub"), "cannot be reached. Check this machine's network"),
        (OfflineModeIsEnabled("offline"), "cannot be reached"),
        (LocalEntryNotFoundError("no entry"), "cannot be reached"),
        (httpx.ReadTimeout("slow"), "cannot be reached"),
        (ValueError("BuilderConfig 'en' not found. Available: ['zh', 'de']"), "has no config 'en'. It has 'zh', 'de'."),
        (ValueError("Config name is missing.\nPlease pick one among the available configs: ['a']"), "name one of them"),
        (ValueError("Bad split: train. Available splits: ['test']"), "has no split 'train'. It has 'test'."),
        (RuntimeError("Dataset scripts are no longer supported, but found x.py"), "running its own code"),
        (DataFilesNotFoundError("No (supported) data files found"), "is not stored as a table"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_said_with_the_remedy(
    error: Exception, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError) as caught:
        fetch(error, None, tmp_path / "a.parquet", monkeypatch)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_gated_data_set_without_a_token_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    message = hub.explain(GatedRepoError("401", response=answer(401)), "owner/name", None, "train")
    assert message is not None and "no token is set" in message and "set HF_TOKEN" in message


def test_a_defect_is_not_explained_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        fetch(KeyError("x"), None, tmp_path / "a.parquet", monkeypatch)


def test_rows_are_written_as_they_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Dataset.from_dict({"Question": [f"{n}?" for n in range(1_200)], "Response": ["So."] * 1_200})
    file = fetch(None, rows.to_iterable_dataset(), tmp_path / "a.parquet", monkeypatch)
    assert pq.read_table(file).column("Question").to_pylist() == [f"{n}?" for n in range(1_200)]


def test_the_size_is_told_when_the_data_set_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Dataset.from_dict({"Question": [f"{n}?" for n in range(1_200)]}).to_iterable_dataset()
    told: list[tuple[str, int, int]] = []
    rows.info.splits = SplitDict({"train": SplitInfo("train", num_bytes=45_600_000, num_examples=1_200)})
    monkeypatch.setattr(hub, "load_dataset", lambda *arguments, **options: rows)
    hub.download("owner/name", None, "train", tmp_path / "a.parquet", lambda *words: told.append(words))
    assert told[1:] == [("downloading 1,200 rows, 46 MB unpacked", n, 1_200) for n in (500, 1_000, 1_200)]


def test_a_folder_of_the_same_name_is_not_taken_for_the_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="is a folder or file on this machine"):
        hub.download("owner/name", None, "train", tmp_path / "a.parquet", silent)
