"""Which addresses may be asked with a key, and where the key comes from."""

from __future__ import annotations

import pytest

from core.endpoints import NO_KEY
from core.errors import ConfigError
from core.serving.endpoint import remote_endpoint

KEYS = {"GRPO_STUDIO_ENDPOINT_KEY": "own", "GRPO_STUDIO_JUDGE_KEY": "judge", "OPENAI_API_KEY": "openai"}
LISTED = "https://models.example.org/v1"


@pytest.mark.parametrize(
    ("there", "key"),
    [(("GRPO_STUDIO_ENDPOINT_KEY", "GRPO_STUDIO_JUDGE_KEY"), "own"), (("GRPO_STUDIO_JUDGE_KEY",), "judge")],
)
def test_the_endpoints_own_key_comes_before_the_judges(there: tuple[str, ...], key: str) -> None:
    environment = {name: KEYS[name] for name in there} | {"GRPO_STUDIO_ENDPOINTS": LISTED}
    found = remote_endpoint(f" {LISTED} ", " m ", environment)
    assert (found.base_url, found.key, found.model, found.local) == (LISTED, key, "m", False)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example.org/v1",
        "http://models.example.org/v1",
        "https://models.example.org:444/v1",
        "http://10.0.0.1/v1",
    ],
)
def test_no_key_goes_to_an_address_that_the_environment_does_not_name(url: str) -> None:
    with pytest.raises(ConfigError, match="GRPO_STUDIO_ENDPOINTS") as error:
        remote_endpoint(url, "m", {**KEYS, "GRPO_STUDIO_ENDPOINTS": LISTED})
    assert not any(key in str(error.value).split() for key in KEYS.values())


@pytest.mark.parametrize("url", ["http://localhost:8000/v1", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"])
def test_a_server_on_this_machine_is_asked_without_a_key(url: str) -> None:
    assert remote_endpoint(url, "m", KEYS).key == NO_KEY


def test_without_a_key_the_variables_are_named() -> None:
    with pytest.raises(ConfigError, match=r"The endpoint needs a key for .* GRPO_STUDIO_ENDPOINT_KEY"):
        remote_endpoint(LISTED, "m", {"GRPO_STUDIO_ENDPOINTS": LISTED})


@pytest.mark.parametrize(
    "url", ["https://user:opensesame@example.org/v1", "file:///etc/passwd", "x", "http://x/v1?key=opensesame"]
)
def test_what_is_no_plain_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="must be a plain address") as error:
        remote_endpoint(url, "m", KEYS)
    assert "opensesame" not in str(error.value)


def test_a_model_must_be_named() -> None:
    with pytest.raises(ConfigError, match="has no name"):
        remote_endpoint("http://localhost/v1", " ", {})
