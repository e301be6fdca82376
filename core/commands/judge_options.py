"""Options by which the command line sets up judges: which, where, at what price, and what they are asked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from core.commands.generate import positive
from core.errors import ConfigError
from core.evaluate.request import DIMENSIONS, METHODS, RUBRIC

_Value = TypeVar("_Value")


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    """Give a verb its options for judges."""
    parser.add_argument(
        "--judge", metavar="MODEL", action="append", default=[], help="a judge, such as gpt-4o-mini; repeatable"
    )
    where = "where judges are asked (default: OPENAI_BASE_URL, else OpenAI); once for all, or once for each judge"
    parser.add_argument("--judge-url", metavar="URL", action="append", default=[], help=where)
    for option, what in (("--input-price", "read"), ("--output-price", "written")):
        price = f"US dollars for a million tokens that judges have {what} (default: as published, where known)"
        parser.add_argument(option, metavar="X", type=float, action="append", default=[], help=f"{price}; likewise")
    parser.add_argument(
        "--method", action="append", choices=METHODS, help="what judges are asked; repeatable (default: dimensions)"
    )
    parser.add_argument(
        "--dimension", action="append", choices=DIMENSIONS, help="what the method dimensions marks (default: all five)"
    )
    parser.add_argument(
        "--rubric",
        type=Path,
        metavar="FILE",
        help="what the method rubric asks: a text file with one thing a good answer does on each line",
    )
    parser.add_argument("--no-safety", action="store_true", help="do not look for dangers")
    parser.add_argument("--concurrent", type=positive, default=8, metavar="N", help="asked at once (default: 8)")
    per_minute = "requests begun in a minute, those included that are made again after a refusal (default: no limit)"
    parser.add_argument("--per-minute", type=int, default=0, metavar="N", help=per_minute)


def judge_fields(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of an evaluation's request that the options give.

    Raises:
        ConfigError: addresses or prices do not go with the judges, an option would not be heard, or the file with the
            rubric cannot be read.
    """
    names = options.judge
    addresses = _for_each("--judge-url", options.judge_url, names, "")
    paid = [
        _for_each(f"--{name}-price", getattr(options, f"{name}_price"), names, None) for name in ("input", "output")
    ]
    limits = {"concurrent": options.concurrent, "per_minute": options.per_minute}
    judges = [
        {"model": name, "base_url": url, "input_price": read, "output_price": written, **limits}
        for name, url, read, written in zip(names, addresses, *paid, strict=True)
    ]
    methods = (options.method or ["dimensions"]) if names else options.method or []
    _refuse_unheard(options, methods)
    return {
        "judges": judges,
        "methods": methods,
        "safety": not options.no_safety,
        "dimensions": options.dimension or DIMENSIONS,
        "rubric": RUBRIC if options.rubric is None else _rubric(options.rubric),
    }


def _for_each(option: str, given: Sequence[_Value], judges: Sequence[str], usual: _Value) -> list[_Value]:
    """What an option gives each judge: nothing, one value for all of them, or one for each in their order."""
    if len(given) > 1 and len(given) != len(judges):
        raise ConfigError(
            f"{option} is given {len(given)} times for {len(judges)} judges. Give it once for all of them, or once for "
            "each, in the order of --judge."
        )
    return list(given) if len(given) > 1 else [*(given or [usual])] * len(judges)


def _refuse_unheard(options: argparse.Namespace, methods: Sequence[str]) -> None:
    for option, method, given in (
        ("--dimension", "dimensions", options.dimension),
        ("--rubric", "rubric", options.rubric),
    ):
        if given and method not in methods:
            raise ConfigError(f"{option} is only read by the method {method}. Add --method {method}, or leave it out.")


def _rubric(file: Path) -> list[dict[str, str]]:
    """The items of a checklist, one a line; empty lines count for nothing."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--rubric names {file}, which cannot be read as a text file. Name another one.") from error
    texts = [line.strip() for line in lines if line.strip()]
    return [{"id": f"item_{number}", "text": text} for number, text in enumerate(texts, 1)]
