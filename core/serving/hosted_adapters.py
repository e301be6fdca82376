"""Loads adapters into a server that runs, over the protocol that all model servers speak."""

from __future__ import annotations

from typing import Any

import httpx

from core.errors import ModelError
from core.serving.adapter_files import Adapter

_SECONDS = 120.0
"""How long a server may take to read an adapter while it answers others."""


def host_adapter(url: str, token: str, title: str, adapter: Adapter) -> str:
    """Have a server know an adapter; returns the name by which it does. Nothing is done when it does already.

    An adapter whose files have been replaced since is loaded anew, and the former one is let go.

    Args:
        title: of the adapter, `<run>@<checkpoint>`.

    Raises:
        ModelError: the server refuses it.
        httpx.TransportError: the server does not answer.
    """
    name = f"{title}-{adapter.digest}"
    with httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=_SECONDS, trust_env=False
    ) as client:
        known = _names(client)
        if name in known:
            return name
        answer = client.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(adapter.folder)})
        if answer.is_error and name not in _names(client):  # somebody else may have loaded it at the same moment
            raise ModelError(f"The adapter {title} cannot be loaded: {_sentence(answer)}")
        for former in known:
            if former.rpartition("-")[0] == title:
                client.post("/v1/unload_lora_adapter", json={"lora_name": former})
    return name


def _names(client: httpx.Client) -> list[str]:
    answer = client.get("/v1/models")
    if answer.is_error:
        raise ModelError(f"The model server does not say what it knows: {_sentence(answer)}")
    return [str(model["id"]) for model in answer.json()["data"]]


def _sentence(answer: httpx.Response) -> str:
    """What a server says in OpenAI's form of an error, else the plain status."""
    try:
        said: Any = answer.json()
        return str(said["error"]["message"] if isinstance(said["error"], dict) else said["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"it answered {answer.status_code}."
