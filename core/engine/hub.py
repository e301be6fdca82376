"""Downloads a data set of the Hugging Face Hub into one Parquet file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from datasets import IterableDataset, load_dataset
from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError, DatasetsError
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from core.errors import DataError

TOKEN_VARIABLE = "HF_TOKEN"
_BATCH_ROWS = 500
_UNREACHABLE = (
    ConnectionError,
    TimeoutError,
    LocalEntryNotFoundError,
    httpx.TransportError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
)


def download(
    dataset_id: str, config: str | None, split: str, target: Path, progress: Callable[[str, int, int], None]
) -> Path:
    """Write one split of a data set to `target`, row by row as it arrives; returns `target`.

    A token for a gated or private data set is taken from the environment's `HF_TOKEN`. Code of the data set is never
    run.

    Raises:
        DataError: the data set, its config or split does not exist, may not be read, or cannot be reached.
    """
    if Path(dataset_id).exists():  # the library would read it instead
        raise DataError(f"{dataset_id} is a folder or file on this machine. Open it as a file, or rename it.")
    progress("asking the Hugging Face Hub", 0, 0)
    done = 0
    try:
        found = load_dataset(
            dataset_id, config, split=split, streaming=True, token=os.environ.get(TOKEN_VARIABLE) or False
        )
        total, phase = _row_count(found, split), f"downloading {_size(found, split)}"
        batches = _batches(found)
        first = next(batches, None)
        if first is None:
            raise DataError(f"The split {split!r} of the data set {dataset_id} holds no rows. Choose another one.")
        with pq.ParquetWriter(target, first.schema, compression="zstd") as writer:
            while first is not None:
                writer.write_table(first)
                done += len(first)
                progress(phase, done, total)
                first = next(batches, None)
    except Exception as error:
        message = explain(error, dataset_id, config, split)
        if message is None:
            raise
        raise DataError(message) from error
    return target


def _batches(found: IterableDataset) -> Iterator[pa.Table]:
    """The rows as Arrow tables of one schema, that of the data set where it declares one."""
    schema = found.features.arrow_schema if found.features else None
    for table in found.with_format("arrow").iter(batch_size=_BATCH_ROWS):
        schema = schema or table.schema
        yield table.cast(schema)


def _row_count(found: IterableDataset, split: str) -> int:
    """How many rows the data set says the split has; 0 when it does not say."""
    splits = found.info.splits or {}
    return int(splits[split].num_examples or 0) if split in splits else 0


def _size(found: IterableDataset, split: str) -> str:
    """How much there is to download, as far as the data set says it."""
    told = (found.info.splits or {}).get(split)
    rows = f"{told.num_examples:,} rows" if told and told.num_examples else "rows"
    return f"{rows}, {told.num_bytes / 1e6:,.0f} MB unpacked" if told and told.num_bytes else rows


def explain(error: BaseException, dataset_id: str, config: str | None, split: str) -> str | None:
    """The sentence for an error of the libraries that a user can mend; None for any other."""
    text = str(error)
    if isinstance(error, GatedRepoError) or (isinstance(error, DatasetNotFoundError) and "gated" in text):
        return _gated(dataset_id)
    if isinstance(error, DatasetNotFoundError | RepositoryNotFoundError):
        return (
            f"There is no data set {dataset_id!r} on the Hugging Face Hub, or it is private. Check the spelling "
            f"(owner/name); for a private one set {TOKEN_VARIABLE} in the environment and start the studio again."
        )
    if isinstance(error, HfHubHTTPError):
        return _refused(error, dataset_id)
    if isinstance(error, _UNREACHABLE):
        return (
            "The Hugging Face Hub cannot be reached. Check this machine's network and proxy, then try again; or "
            "download the data set elsewhere and open the file."
        )
    return _unsuitable(error, text, dataset_id, config, split)


def _gated(dataset_id: str) -> str:
    ask = f"Ask for access on https://huggingface.co/datasets/{dataset_id}"
    if os.environ.get(TOKEN_VARIABLE):
        return f"The data set {dataset_id} is gated, and your token does not open it. {ask}, then try again."
    return (
        f"The data set {dataset_id} is gated and no token is set. {ask}, then set {TOKEN_VARIABLE} in the environment "
        "and start the studio again."
    )


def _refused(error: HfHubHTTPError, dataset_id: str) -> str:
    status = error.response.status_code
    if status in (401, 403):
        return (
            f"The Hugging Face Hub refuses to give {dataset_id} ({status}). Check the token in {TOKEN_VARIABLE} and "
            "whether it may read this data set."
        )
    return f"The Hugging Face Hub answered with an error ({status}) for {dataset_id}. Try again in a few minutes."


def _unsuitable(error: BaseException, text: str, dataset_id: str, config: str | None, split: str) -> str | None:
    known: dict[str, Any] = {
        "Config name is missing": f"The data set {dataset_id} has several configs; name one of them.",
        "BuilderConfig": f"The data set {dataset_id} has no config {config!r}.",
        "Bad split": f"The data set {dataset_id} has no split {split!r}.",
        "Unknown split": f"The data set {dataset_id} has no split {split!r}.",
        "Dataset scripts": f"The data set {dataset_id} can only be read by running its own code, which is not done.",
    }
    for beginning, sentence in known.items():
        if isinstance(error, ValueError | RuntimeError) and text.startswith(beginning):
            start, end = text.find("["), text.find("]")
            choice = f" It has {text[start + 1 : end].strip()}." if 0 <= start < end else ""
            return f"{sentence}{choice}"
    if isinstance(error, DataFilesNotFoundError | DatasetsError | pa.ArrowException):
        return (
            f"The data set {dataset_id} is not stored as a table that can be read ({type(error).__name__}). Download "
            "its file and open that."
        )
    return None
