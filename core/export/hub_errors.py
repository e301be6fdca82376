"""What the Hugging Face Hub, its client and the network say when an upload fails, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import huggingface_hub.errors

from core.errors import RunError, StudioError
from core.export.hub_plan import Plan
from core.text import one_line

_TOKENS = "https://huggingface.co/settings/tokens"
_KEPT = "What has arrived is not sent again."
_MOST_LETTERS = 200

_SENTENCES: Mapping[int, str] = {
    401: "The Hugging Face Hub does not know the token (401). Make one that may write on " + _TOKENS + " and enter it.",
    402: "The Hugging Face Hub wants to be paid for {name} (402): the storage of its owner is used up. Free some, "
    "choose fewer or smaller forms, or publish it under another owner.",
    403: "The token may not write to {name} (403). Check that it has the permission to write on " + _TOKENS + ", and "
    "that its account belongs to {owner}; or choose a repository of your own.",
    404: "The Hugging Face Hub does not find {name} (404). Check the spelling of {owner}, and whether the token may "
    "see the repository.",
    409: "{name} was changed by somebody else at the same moment (409). Start the upload again. " + _KEPT,
    412: "{name} was changed by somebody else at the same moment (412). Start the upload again. " + _KEPT,
    413: "The Hugging Face Hub, or a proxy before it, does not take what is as large as this (413); the largest file "
    "is {largest}. Choose a smaller form, such as GGUF q4_k_m, or ask who runs the proxy.",
    429: "The Hugging Face Hub was asked too often with this token (429). Wait an hour and start the upload again. "
    + _KEPT,
}
_FAULT = "The Hugging Face Hub has a fault of its own ({status}). Start the upload again in a few minutes. " + _KEPT
_REFUSED = "The Hugging Face Hub refuses the upload to {name} ({status})"
_OFFLINE = "HF_HUB_OFFLINE is set, so nothing is sent. Whoever runs the studio can take it out of the environment."
_UNREACHABLE = (
    "The connection to the Hugging Face Hub broke off. Check this machine's network and proxy, then start the upload "
    "again. " + _KEPT
)
_CARD = "The Hugging Face Hub does not accept the head of the model card README.md"


@contextmanager
def plain_errors(plan: Plan, token: str) -> Iterator[None]:
    """Raise what fails inside as RunError with a sentence that never holds the token; defects pass."""
    try:
        yield
    except StudioError:
        raise
    except Exception as error:
        sentence = explain(error, plan, token)
        if sentence is None:
            raise
        raise RunError(sentence) from error


def explain(error: BaseException, plan: Plan, token: str) -> str | None:
    """The sentence for an error that a user can mend; None for any other.

    >>> explain(KeyError("x"), None, "")
    """
    if type(error) is RuntimeError and error.__cause__ is not None:  # how the client says which file it was
        return explain(error.__cause__, plan, token)
    if isinstance(error, huggingface_hub.errors.OfflineModeIsEnabled):
        return _OFFLINE
    if isinstance(error, huggingface_hub.errors.HfHubHTTPError):
        return _answered(error, plan, token)
    if isinstance(error, PermissionError) and type(error) is not PermissionError:  # that of Xet, the Hub's storage
        return _filled(_SENTENCES[403], plan)
    if isinstance(error, httpx.TransportError | ConnectionError | TimeoutError):
        return _UNREACHABLE
    if isinstance(error, ValueError) and "metadata in README.md" in str(error):
        return f"{_CARD}: {_words(str(error).partition(chr(10))[2], token)}"
    if type(error) is RuntimeError:  # Xet's words for whatever the network did
        return f"{_UNREACHABLE} It said: {_words(str(error), token)}"
    return None


def _answered(error: huggingface_hub.errors.HfHubHTTPError, plan: Plan, token: str) -> str:
    """The sentence for an answer of the Hub that is no success."""
    status = error.response.status_code
    if status in _SENTENCES:
        return _filled(_SENTENCES[status], plan)
    if status >= 500:
        return _FAULT.format(status=status)
    said = _words(error.server_message or "", token)
    return _filled(_REFUSED, plan, status=status) + (f": {said}" if said else ". Check its name and try again.")


def _filled(sentence: str, plan: Plan, **more: object) -> str:
    name = plan.request.repository
    largest = _size(max((file.bytes for file in plan.files), default=0))
    return sentence.format(name=name, owner=name.partition("/")[0], largest=largest, **more)


def _words(text: str, token: str) -> str:
    """Somebody else's words: in one line, cut, and without the token."""
    return one_line(text.replace(token, "***") if token else text, _MOST_LETTERS)


def _size(count: int) -> str:
    """
    >>> _size(2_400_000_000), _size(1_600_000)
    ('2.4 GB', '1.6 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
