"""Turns a merged model, a folder of safetensors, into one GGUF file in 16 bits, without network or compiler.

llama.cpp's own convert_hf_to_gguf.py does it where an installed llama.cpp has one that works (`llama_tools`), else the
code here. Its parts: `gguf_architectures` (which models, and what the file says of their shape), `gguf_tensors` (names
and numbers of the weights), `gguf_vocab` with `gguf_pretokenizers` (how the model reads and where its answers end). The
official package `gguf` writes the file and knows the names. What it is held against is llama.cpp's script.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from gguf import GGML_QUANT_VERSION, GGUFWriter, Keys, LlamaFileType

from core.engine.export.gguf_architectures import add_shape, read_model
from core.engine.export.gguf_head import GgufHead, read_head
from core.engine.export.gguf_pretokenizers import cut
from core.engine.export.gguf_tensors import TensorPlan, planned
from core.engine.export.gguf_vocab import add_vocabulary, read_vocabulary
from core.engine.export.llama_tools import run_converter
from core.engine.export.model_files import read_json
from core.engine.export.weights import Weights
from core.errors import ModelError, StorageError
from core.export.quantiser import CONVERTER, installed_converter
from core.jobs.tasks import Tell, silent
from core.paths import storage_error, sync_files
from core.tokenizer_files import TOKENIZER

PHASE = "writing GGUF f16"
_MEGABYTE = 1_000_000


def convert(merged_folder: Path, target_file: Path, tell: Tell = silent, *, title: str = "") -> str:
    """Write the model in `merged_folder` as the GGUF file `target_file`: matrices in float16, the rest in float32.

    One tensor at a time is in memory, unless an installed llama.cpp's script does it. The file is written beside its
    place and renamed when it is whole.

    Args:
        merged_folder: config.json, safetensors in one file or several with their index, tokenizer and chat template.
        tell: told the phase, and how much is written of how much there is.
        title: what programs call the model; empty takes the file's name.

    Returns:
        the name of the program that has written it; empty for the code here.

    Raises:
        ModelError: the model is of a kind that would come out wrong or that llama.cpp cannot run, or a part is missing.
        StorageError: there is no room, the folder cannot be written, or the file is there already.
    """
    if target_file.exists():
        raise StorageError(f"{target_file} is there already. Nothing is overwritten: choose another name or folder.")
    tell(PHASE, 0, 0)
    part, name = target_file.with_name(f".part-{target_file.name}"), title or target_file.stem
    try:
        script_did = _by_script(merged_folder, part, name, tell)
        if not script_did:
            _convert(merged_folder, part, name, tell)
        sync_files([part])
        os.replace(part, target_file)
    except OSError as error:
        raise storage_error(error, target_file) or error from error
    finally:
        part.unlink(missing_ok=True)
    return CONVERTER if script_did else ""


def _by_script(merged_folder: Path, part: Path, title: str, tell: Tell) -> bool:
    """Let the script of an installed llama.cpp write the file; False where there is none, or it does not work here."""
    script = installed_converter()
    if script is None:
        return False
    try:
        run_converter(script, merged_folder, part, title, PHASE, tell)
        _refuse_other_tokens(merged_folder, read_head(part))  # one that is half written cannot be read
    except ModelError as error:  # such as one that misses a package of its own
        print(f"{error} The studio converts it by itself.", flush=True)
        return False
    return True


def _refuse_other_tokens(merged_folder: Path, head: GgufHead) -> None:
    """Raise ModelError for a file whose kind of tokenizer is not the model's: it would read other tokens.

    The script takes some tokenizers of pieces of bytes for those of SentencePiece.
    """
    try:
        kind = cut(read_json(merged_folder / TOKENIZER)).model.encode()
    except ModelError:  # one that the studio does not know; the comparison of answers tells
        return
    if not head.keys.get(Keys.Tokenizer.MODEL, b"").endswith(len(kind).to_bytes(8, "little") + kind):
        raise ModelError(f"{CONVERTER} of the installed llama.cpp took the tokenizer for one of another kind.")


def _convert(merged_folder: Path, part: Path, title: str, tell: Tell) -> None:
    model = read_model(merged_folder)
    vocabulary = read_vocabulary(merged_folder, int(model.config.vocab_size))
    tensors = planned(model, Weights.of_model(merged_folder))
    with closing(GGUFWriter(None, model.architecture.name)) as writer:
        _add_general(writer, title)
        add_shape(writer, model)
        add_vocabulary(writer, vocabulary)
        _write(writer, part, tensors, tell)


def _add_general(writer: GGUFWriter, title: str) -> None:
    writer.add_type("model")
    writer.add_name(title)
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(GGML_QUANT_VERSION)


def _write(writer: GGUFWriter, part: Path, tensors: list[TensorPlan], tell: Tell) -> None:
    """The head of the file first, since it tells where each tensor will lie, and then one tensor after the other."""
    for tensor in tensors:
        writer.add_tensor_info(tensor.name, tensor.shape, tensor.dtype, tensor.bytes)
    writer.write_header_to_file(part)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    done, total = 0, sum(tensor.bytes for tensor in tensors)
    for tensor in tensors:
        writer.write_tensor_data(tensor.numbers())
        done += tensor.bytes
        tell(PHASE, done // _MEGABYTE, total // _MEGABYTE)
