"""An address at which a model answers, and which model there is meant."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.addresses import plain_address
from core.endpoints import JUDGE_KEYS, Purpose, endpoint_key
from core.errors import ConfigError

KEYS = ("GRPO_STUDIO_ENDPOINT_KEY", *JUDGE_KEYS)
"""Environment variables that hold the key of remote endpoints; the first that is set counts."""

_PURPOSE = Purpose("the endpoint", "The address of the endpoint", KEYS)


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked by OpenAI's chat completions, and by which name.

    Attributes:
        base_url: ends with `/v1`, mostly.
        key: the bearer token; no message and no log ever shows it.
        model: the name by which the endpoint knows the model or adapter.
        local: whether it is one of the studio's own servers, which go on with a begun turn.
    """

    base_url: str
    key: str = field(repr=False)
    model: str
    local: bool = False


def remote_endpoint(url: str, model: str, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """A model behind an address that somebody named, with the key that the environment allows it.

    Raises:
        ConfigError: the address is none, the environment does not allow it, there is no key for it, or no model is
            named.
    """
    if not model.strip():
        raise ConfigError("The endpoint's model has no name. Name the model that is to answer there.")
    try:
        address = plain_address(url)
    except ValueError as error:
        raise ConfigError(f"The address of the endpoint {error}.") from None
    return Endpoint(address, endpoint_key(address, _PURPOSE, environment), model.strip())
