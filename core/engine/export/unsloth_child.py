"""`python -m core.engine.export.unsloth_child ADAPTER TARGET METHOD`: exports an adapter with Unsloth.

Unsloth changes transformers and PEFT when it is imported, which must come first, so it never runs in a task's process.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

MERGED = "merged_16bit"


def main(adapter: str, target: str, method: str) -> None:
    """Write the merged weights as the folder `target`, or a GGUF file as the file `target`.

    Args:
        adapter: a folder with the adapter and the tokenizer, whose configuration names the folder of the base model.
        target: an absolute path.
        method: `merged_16bit`, else Unsloth's name for the kind of GGUF file.
    """
    fast: Any = import_module("unsloth").FastLanguageModel
    tokenizer = import_module("transformers").PreTrainedTokenizerFast.from_pretrained(adapter)
    model, _ = fast.from_pretrained(model_name=adapter, load_in_4bit=False, use_exact_model_name=True)
    # None asks for safetensors everywhere; by default Unsloth writes pickles on machines with few cores.
    if method == MERGED:
        model.save_pretrained_merged(target, tokenizer, save_method=MERGED, safe_serialization=None)
        return
    beside = Path(adapter).parent
    os.chdir(beside)  # Unsloth leaves files on the way where it stands
    made = model.save_pretrained_gguf(
        str(beside / "gguf"), tokenizer, quantization_method=method, safe_serialization=None
    )
    shutil.move(made["gguf_files"][0], target)


if __name__ == "__main__":
    main(*sys.argv[1:])
