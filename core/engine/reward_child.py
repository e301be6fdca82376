"""The process in which the file of a custom reward runs: `python -I -u reward_child.py REQUESTS ANSWERS MEMORY FILE`.

REQUESTS and ANSWERS are the numbers of two pipes that this process has inherited, MEMORY is how many bytes it may
address, FILE how many bytes a file that it writes may have. It stands alone, on the standard library only: nothing of
the studio is loaded beside the user's code. What comes and goes is one JSON object a line:

    at the start                                    -> {"started": true}
    {"path": str, "source": str, "seconds": float}  -> {"loaded": true}, or an error
    {"arguments": {name: list}, "seconds": float}   -> {"values": [...]}, {"returned": type}, {"missing": [names]}, or
                                                       an error
    an error is {"error": {"type", "message", "frames": [{"line", "function", "source"}]}}

Among the values a number stands for itself, null for "no opinion", and text describes what is neither. The process ends
when the studio's end of REQUESTS closes, so it never outlives the job that started it.
"""

from __future__ import annotations

import ctypes
import inspect
import json
import linecache
import numbers
import os
import queue
import reprlib
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

_GRACE_SECONDS = 5.0
"""So long after its time a call that even the studio has not stopped, since it is gone, is ended by the system."""
_PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 24, 36, 38
_CAPABILITY_VERSION_3 = 0x20080522
_FRAMES = 5
"""How many places an error is said to have gone through."""


def main(requests: int, answers: int, memory: int, file: int) -> None:
    """Answer requests until there are no more."""
    for descriptor in (requests, answers):
        os.set_inheritable(descriptor, False)
    _limit(memory, file)
    _give_up_privileges()
    # A thread reads, so that the end of the studio is noticed while the user's code runs.
    incoming: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, incoming), daemon=True).start()
    _answer(answers, {"started": True})
    load = incoming.get()
    path = load["path"]
    with _users_turn(answers, path, load["seconds"]):
        reward = _load(path, load["source"])
    _answer(answers, {"loaded": True})
    while True:
        call = incoming.get()
        with _users_turn(answers, path, call["seconds"]):
            answer = _call(reward, call["arguments"])
        _answer(answers, answer)


def _limit(memory: int, file: int) -> None:
    for kind, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, file), (resource.RLIMIT_AS, memory)):
        with suppress(ValueError, OSError):  # not every system can
            resource.setrlimit(kind, (most, most))


def _give_up_privileges() -> None:
    """Keep nothing but the user's ordinary rights: even root's process then cannot look into another one.

    Also adopts what its own processes leave behind, so that all of them can be found and ended.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # such as a C library without these calls
        system = ctypes.CDLL(None)
        system.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        for capability in range(64):  # no program that is started gets one back
            system.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        system.capset((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)())


def _read(requests: int, incoming: queue.SimpleQueue[dict[str, Any]]) -> None:
    with os.fdopen(requests, "rb") as lines:
        for line in lines:
            incoming.put(json.loads(line))
    if os.getpgrp() == os.getpid():  # with whatever the user's code has started
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


@contextmanager
def _users_turn(answers: int, path: str, seconds: float) -> Iterator[None]:
    """Runs the user's code: an error of it is answered, and the process ends."""
    # The alarm's default is to end the process, and it does so even inside a regular expression that never returns.
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_SECONDS)
    try:
        yield
    except BaseException as error:  # sys.exit and KeyboardInterrupt as well
        _answer(answers, {"error": _described(error, path)})
        os._exit(0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _load(path: str, source: str) -> Callable[..., Any]:
    """Run the user's file and return its function `reward`."""
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    module = ModuleType("custom_reward")  # not the file's own name, which may be that of a library
    module.__file__ = path
    sys.modules[module.__name__] = module
    sys.argv = [path]
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    reward: Callable[..., Any] = module.reward
    return reward


def _call(reward: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Call `reward` with those of `arguments` that it takes."""
    parameters = inspect.signature(reward).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    missing = [p.name for p in named if p.default is p.empty and p.name not in arguments]
    if missing:
        return {"missing": missing}
    if all(p.kind is not p.VAR_KEYWORD for p in parameters):
        arguments = {p.name: arguments[p.name] for p in named if p.name in arguments}
    returned = reward(**arguments)
    if hasattr(returned, "tolist"):  # an array or a tensor
        returned = returned.tolist()
    if not isinstance(returned, (list, tuple)):
        return {"returned": type(returned).__name__}
    return {"values": [_plain(value) for value in returned]}


def _plain(value: Any) -> float | str | None:
    """A number as it is, True as 1 and False as 0, None as it is; for anything else a text that describes it."""
    with suppress(Exception):  # NumPy's and PyTorch's scalars
        value = value.item()
    if value is None:
        return None
    if isinstance(value, numbers.Real):
        try:
            return float(value)
        except OverflowError:
            return float("inf")
    return f"{type(value).__name__} {reprlib.repr(value)}"


def _described(error: BaseException, path: str) -> Mapping[str, Any]:
    """The error in words, with the places in the user's own file that it went through, the innermost last."""
    steps = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__))
    frames = [
        {"line": step.lineno or 1, "function": step.name, "source": step.line or ""}
        for step in steps
        if step.filename == path
    ]
    try:
        message = str(error)
    except Exception:
        message = ""
    return {"type": type(error).__name__, "message": message, "frames": frames[-_FRAMES:]}


def _answer(answers: int, answer: Mapping[str, Any]) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the user's code may have closed it
            stream.flush()
    content = memoryview((json.dumps(answer) + "\n").encode())
    while content:
        content = content[os.write(answers, content) :]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
