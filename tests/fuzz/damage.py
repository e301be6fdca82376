"""What can be wrong with a file from outside: anything, or a whole one with a few bytes or values changed.

`FUZZ_EXAMPLES` says how many cases each test tries; left out, a few and always the same ones.
"""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_VARIABLE = "FUZZ_EXAMPLES"
FUZZ = settings(
    max_examples=int(os.environ.get(_VARIABLE, "12")),
    derandomize=_VARIABLE not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
"""Any value that JSON can hold, and the numbers that Python's JSON holds beyond it."""
_ODD = st.sampled_from(
    [
        *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r", b'"', b",", b"{", b"}", b"[" * 2000),
        *(b"\\ud800", b"1e999", b"NaN", b"-1", b"null", b"9" * 400, "\u202e".encode()),
    ]
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` with up to four stretches replaced, cut out or doubled; or cut off; or anything else in its place."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    found = whole
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, len(found)))
        last = min(len(found), first + draw(st.integers(0, 40)))
        middle = draw(st.one_of(_ODD, st.binary(max_size=12), st.just(b""), st.just(found[first:last] * 2)))
        found = found[:first] + middle + found[last:]
    return found[: draw(st.integers(0, len(found)))] if draw(st.booleans()) else found


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with something else in one or two places, or with a part missing."""
    found = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 2))):
        found = _changed_once(draw, found)
    return found


def _changed_once(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 3)) == 0:
        return draw(JSON)
    places = sorted(value) if isinstance(value, dict) else list(range(len(value)))
    place = draw(st.sampled_from(places))
    if draw(st.integers(0, 4)) == 0:
        del value[place]
    else:
        value[place] = _changed_once(draw, value[place])
    return value
