"""What a GGUF file's head says, and how many answers at once fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from core.engine.serving.gguf_file import LONGEST_CONTEXT, MOST_SLOTS, GgufFile, Slots, read_gguf, slots
from core.errors import ModelError

GIGABYTE = 1_000_000_000


def write(path: Path, more: Callable[[GGUFWriter], None] = lambda writer: None) -> Path:
    """A file with the head of a small Llama and one tensor."""
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(3)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    more(writer)
    writer.add_tensor("token_embd.weight", np.zeros((8, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def long_lists(writer: GGUFWriter) -> None:
    writer.add_token_list([f"token {number}" for number in range(3000)])
    writer.add_token_scores([0.5] * 3000)
    writer.add_context_length(2048)  # after them


@pytest.mark.parametrize(
    ("more", "numbers"),
    [
        (lambda writer: None, (16 + 16) * 4 * 3),
        (lambda writer: writer.add_head_count_kv(2), (16 + 16) * 2 * 3),
        (lambda writer: writer.add_head_count_kv([4, 0, 2]), (16 + 16) * (4 + 0 + 2)),
        (lambda writer: (writer.add_key_length(32), writer.add_value_length(8)), (32 + 8) * 4 * 3),
    ],
    ids=["all heads", "fewer pairs", "pairs by layer", "widths of their own"],
)
def test_keys_and_values_of_a_token_take_two_bytes_a_number(
    tmp_path: Path, more: Callable[[GGUFWriter], None], numbers: int
) -> None:
    assert read_gguf(write(tmp_path / "a.gguf", more)).cache_bytes == 2 * numbers


def test_what_follows_long_lists_is_read(tmp_path: Path) -> None:
    file = write(tmp_path / "a.gguf", long_lists)
    assert read_gguf(file).context == 2048


def test_a_file_that_ends_within_its_head_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.gguf", long_lists)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"a\.gguf is not a GGUF file, or only a part of one\. Copy"):
        read_gguf(file)


@pytest.mark.parametrize("content", [b"", b"hello, this is no model", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64])
def test_what_is_no_gguf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(ModelError, match="is not a GGUF file"):
        read_gguf(tmp_path / "a.gguf")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no file"):
        read_gguf(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    "more", [lambda writer: writer.add_type("adapter"), lambda writer: writer.add_causal_attention(False)]
)
def test_what_writes_no_text_is_refused(tmp_path: Path, more: Callable[[GGUFWriter], None]) -> None:
    with pytest.raises(ModelError, match="holds no language model that writes text"):
        read_gguf(write(tmp_path / "a.gguf", more))


def file_of(gigabytes: float, cache_bytes: int, context: int = LONGEST_CONTEXT) -> GgufFile:
    return GgufFile(Path("big.gguf"), "llama", context, cache_bytes, int(gigabytes * GIGABYTE))


def test_plenty_of_memory_has_room_for_all_slots() -> None:
    assert slots(file_of(0.1, 23_040), 24 * GIGABYTE) == Slots(MOST_SLOTS, LONGEST_CONTEXT)


def test_answers_beyond_the_first_take_a_part_of_what_is_left() -> None:
    left = 8 * GIGABYTE
    found = slots(file_of(4.6, 131_072), left + 5 * GIGABYTE)  # half a gigabyte each
    assert 1 < found.count < MOST_SLOTS
    assert found.count * found.context * 131_072 <= left / 4


def test_a_single_answer_needs_no_more_than_its_own_room() -> None:
    assert slots(file_of(4.6, 131_072), int(5.6 * GIGABYTE)).count == 1


def test_a_model_that_reads_less_is_given_no_more() -> None:
    assert slots(file_of(0.1, 23_040, context=512), 24 * GIGABYTE).context == 512


def test_a_model_without_attention_takes_no_room_for_it() -> None:
    assert slots(file_of(0.1, 0), GIGABYTE).count == MOST_SLOTS


def test_a_file_too_large_for_memory_is_refused_with_both_numbers() -> None:
    with pytest.raises(ModelError, match=r"big\.gguf needs about 40\.9 GB of memory .* and 24\.0 GB are free"):
        slots(file_of(40, 131_072), 24 * GIGABYTE)
