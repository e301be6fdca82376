"""`python -m core generate`: ask models, runs' adapters, GGUF files or endpoints, and score what they answer."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.commands.verbs import add_verb, finish_task
from core.compare import questions
from core.compare.asking import Asked, start_asking
from core.compare.batch import KIND
from core.compare.comparison import (
    ComparedAnswer,
    Comparison,
    ComparisonRequest,
    Question,
    create_comparison,
    make_request,
)
from core.config import RunConfig
from core.errors import DataError, StudioError
from core.json_lines import json_line
from core.paths import Home
from core.presets import preset_config
from core.runs.run import find_run
from core.serving.candidates import Candidate, parse_candidate, title

_LOOK_SECONDS = 0.05
_NO_TEST = "The data of this run holds out neither a test nor a validation split. Ask with --question TEXT."


def add_generate_verb(verbs: Any) -> None:
    """Give the command line its verb; `verbs` is what `add_subparsers` returned."""
    parser = add_verb(verbs, "generate", generate, "Ask one or more models, and score what they answer.")
    forms = "model:NAME, run:ID[@best|@STEP], gguf:FILE or endpoint:URL#MODEL"
    parser.add_argument("candidates", metavar="CANDIDATE", nargs="+", help=forms)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--question", metavar="TEXT", help="what to ask")
    asked.add_argument("--test", type=positive, metavar="N", help="the first N questions held out of the run's data")
    parser.add_argument("--reference", default="", metavar="TEXT", help="the reference answer to --question")
    parser.add_argument("--run", metavar="RUN", help="whose prompt, reward and data count (default: the first named)")
    add_decoding_options(parser)


def add_decoding_options(parser: argparse.ArgumentParser) -> None:
    """The options that say how tokens are chosen; `decoding_of` reads them."""
    for name, kind, text in (
        ("temperature", float, "0 always takes the likeliest token (default: 0.7)"),
        ("top-p", float, "share of probability that tokens are drawn from (default: 1)"),
        ("max-tokens", int, "where an answer is cut off (default: 256)"),
        ("seed", int, "of the answers (default: 0)"),
    ):
        parser.add_argument(f"--{name}", type=kind, metavar=name[0].upper(), help=text)


def generate(options: argparse.Namespace, home: Home) -> Any:
    """Ask, print every answer with its reward, and keep all of it as a comparison.

    Its id is said first, and whatever ends the asking, the answers that are there are printed.

    Raises:
        StudioError: no answer is whole, or the batch was stopped or failed.
    """
    request = _request(options, home)
    comparison = create_comparison(home, request)
    print(f"Kept as {comparison.id}.", file=sys.stderr, flush=True)
    shown = False
    try:
        if options.test:
            finish_task(home, KIND, {"comparison": comparison.id})
        else:
            shown = _ask(start_asking(home, comparison), stream=len(request.candidates) == 1 and not options.json)
    finally:
        answers = comparison.answers()
        for answer in answers:
            if options.json:
                print(json_line(_record(comparison, request, answer)))
            else:
                print(*_lines(request, answer, without_text=shown), sep="\n")
    if all(answer.error for answer in answers):
        raise StudioError(f"No answer is whole; what there is of them is kept as {comparison.id}.")


def _request(options: argparse.Namespace, home: Home) -> ComparisonRequest:
    candidates = [parse_candidate(text, home) for text in options.candidates]
    run, config = run_and_config(options.run, candidates, home)
    return make_request(
        title="" if options.test else options.question[:200],
        run=run,
        candidates=candidates,
        questions=_questions(options, home, config),
        prompt=config.prompt,
        decoding=decoding_of(options),
        reward=config.reward,
    )


def decoding_of(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of how tokens are chosen, by the names of `core.serving.client.Decoding`."""
    given = {name: getattr(options, name) for name in ("temperature", "top_p", "max_tokens", "seed")}
    return {name: value for name, value in given.items() if value is not None}


def run_and_config(named: str | None, candidates: Sequence[Candidate], home: Home) -> tuple[str, RunConfig]:
    """The id and configuration of the run whose prompt, reward and data count: the named one, else the first run among
    the candidates, else none, with the demo's configuration.

    Raises:
        RunError: there is no such run.
    """
    wanted = named or next((candidate.run for candidate in candidates if candidate.run), "")
    if not wanted:
        return "", preset_config("demo")
    run = find_run(home, wanted)
    return run.id, run.config()


def _questions(options: argparse.Namespace, home: Home, config: RunConfig) -> Sequence[Question | Mapping[str, str]]:
    if not options.test:
        return [{"id": "question", "text": options.question, "reference": options.reference}]
    found = questions.held_out_questions(home, config)
    if not found:
        raise DataError(_NO_TEST)
    return found[: options.test]


def _ask(asked: Asked, stream: bool) -> bool:
    """Wait for all answers, which Ctrl-C breaks off; returns whether the first one's text was printed as it came."""
    column, phase, printed = asked.columns[0], "", 0
    while asked.live:
        try:
            if stream and column.phase != phase:
                phase = column.phase
                print(f"{phase} …", file=sys.stderr, flush=True)
            if stream:
                text = column.text
                print(plain(text[printed:]), end="", flush=True)
                printed = len(text)
            time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            print("Stopping.", file=sys.stderr)
            asked.cancel()
    if stream:
        print(plain(column.text[printed:]))
    return stream


def _lines(request: ComparisonRequest, answer: ComparedAnswer, without_text: bool) -> Iterator[str]:
    """An answer for people; how fast it was written only where it was the only question, for many are asked at once."""
    if not without_text:
        question = request.questions[answer.question]
        yield f"=== {title(request.candidates[answer.candidate])} · {question.split} {question.row or ''}".rstrip()
        yield plain(answer.text)
    if answer.error:
        yield answer.error
    alone = len(request.questions) == 1
    speed = f", {answer.tokens_per_second:.1f} tokens/s" if alone and answer.tokens_per_second else ""
    cut = ", cut off" if answer.truncated else ""
    tokens = "" if answer.tokens is None else f"{answer.tokens} tokens, "
    yield f"--- {tokens}{answer.seconds:.1f} s{speed}{cut}"
    if answer.reward is not None:
        known = (f"{name} {'-' if score is None else f'{score:.3f}'}" for name, score in answer.components.items())
        yield f"reward {answer.reward:+.3f} ({', '.join(known)}{'' if answer.valid else ', invalid'})"
    if answer.unscored:
        yield f"Not scored: {answer.unscored}"


def _record(comparison: Comparison, request: ComparisonRequest, answer: ComparedAnswer) -> dict[str, Any]:
    """An answer for programs."""
    candidate: Candidate = request.candidates[answer.candidate]
    question = request.questions[answer.question]
    asked = {"question": question.text, "reference": question.reference, "split": question.split, "row": question.row}
    known = answer.model_dump(mode="json", exclude={"question", "candidate"})
    return {"comparison": comparison.id, "candidate": str(candidate), **asked, **known}


def plain(text: str) -> str:
    """A model's text for a terminal: without characters that steer it.

    >>> plain("Rest\\x1b[31m.\\n")
    'Rest[31m.\\n'
    """
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


def positive(text: str) -> int:
    """A whole number from 1 on, for an option's `type`."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} must be 1 or more")
    return number
