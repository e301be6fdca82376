"""Numbers and findings as the report writes them: with a true minus sign, and a dash where nothing is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from core.compare.blind_summary import Share
from core.evaluate.request import DANGER_TITLES, DIMENSION_TITLES
from core.evaluate.results import Average, Difference, Finding

NOTHING = "–"
"""Stands where there is no number."""
_MINUS = "−"
_FINDINGS: Mapping[Finding, str] = {
    "better": "better",
    "worse": "worse",
    "unclear": "not decided",
    "too few": "too few questions",
}
_ITEMS: Mapping[str, str] = {str(name): title for name, title in (*DIMENSION_TITLES.items(), *DANGER_TITLES.items())}
_MATTERS = {
    "dimensions": "marks from 1 to 5, tags removed",
    "format": "form, tags shown",
    "rubric": "rubric, yes or no",
    "pairwise": "pairs, both orders",
}


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many digits behind the point.

    >>> number(-0.256), number(None), number(-0.001)
    ('−0.26', '–', '0.00')
    """
    if value is None:
        return NOTHING
    written = f"{value:,.{digits}f}"
    return written.lstrip("-") if float(written.replace(",", "")) == 0 else written.replace("-", _MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """The same with a plus where it is more than nothing.

    >>> signed(0.42), signed(-0.42), signed(0.0)
    ('+0.42', '−0.42', '0.00')
    """
    written = number(value, digits)
    return f"+{written}" if value is not None and value > 0 and written.strip("0.") else written


def interval(found: Average | Difference) -> str:
    """The ends of an interval.

    >>> interval(Average(mean=3, deviation=1, of=9, low=2.4, high=3.6))
    '2.40 to 3.60'
    """
    return NOTHING if found.low is None or found.high is None else f"{number(found.low)} to {number(found.high)}"


def p_value(value: float | None) -> str:
    """A p value as journals write it.

    >>> p_value(0.0004), p_value(0.0312), p_value(None)
    ('< 0.001', '0.031', '–')
    """
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent(value: float | None) -> str:
    """A share in per cent.

    >>> percent(0.125)
    '12.5%'
    """
    return NOTHING if value is None else f"{number(100 * value, 1)}%"


def share(found: Share | None) -> str:
    """A share with its interval.

    >>> share(Share(value=0.1, low=0.05, high=0.2, of=50))
    '10.0% (5.0 to 20.0)'
    """
    return NOTHING if found is None else f"{percent(found.value)} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def finding(found: Finding) -> str:
    """What may be said, in words."""
    return _FINDINGS[found]


def matter(name: str) -> str:
    """What a judge was asked, in words."""
    return _MATTERS.get(name, name)


def asked_with(parameters: Mapping[str, str]) -> str:
    """How an endpoint was asked, in words; what it does not take is left to it.

    >>> asked_with({"temperature": "0"})
    'at temperature 0, without a schema for the reply'
    """
    temperature = parameters.get("temperature")
    heat = "at the endpoint’s own temperature" if temperature is None else f"at temperature {temperature}"
    return f"{heat}, {'with' if 'response_format' in parameters else 'without'} a schema for the reply"


def item(name: str) -> str:
    """What a mark or a danger is of.

    >>> item("accuracy"), item("no_invention")
    ('Medical accuracy', 'No invention')
    """
    return _ITEMS.get(name, name.replace("_", " ").capitalize())


def day(seconds: float) -> str:
    """A time as a date, in UTC.

    >>> day(0)
    '1970-01-01 00:00 UTC'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
