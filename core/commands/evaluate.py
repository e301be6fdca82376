"""`python -m core evaluate`: judge what models answer to held-out questions, or what an earlier batch has answered."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.commands.evaluate_words import estimate_lines, evaluation_record, result_lines
from core.commands.generate import add_decoding_options, decoding_of, plain, positive, run_and_config
from core.commands.judge_options import add_judge_options, judge_fields
from core.commands.verbs import add_verb, finish_task
from core.compare.blind import being_judged
from core.compare.comparison import (
    ComparedAnswer,
    ComparisonRequest,
    Question,
    create_comparison,
    find_comparison,
    make_request,
)
from core.compare.questions import held_out_questions
from core.errors import ConfigError, DataError, StorageError, StudioError
from core.evaluate.estimate import estimate, with_prices
from core.evaluate.evaluation import (
    Evaluation,
    comparison_of,
    create_evaluation,
    find_evaluation,
    list_evaluations,
    refuse_misfit,
)
from core.evaluate.report import PACK, REPORT
from core.evaluate.request import EvaluationRequest, make_evaluation_request
from core.evaluate.sampling import choose_questions, type_columns
from core.evaluate.sentences import headline
from core.evaluate.task import KIND, refuse_judges, report_again
from core.json_lines import json_line
from core.paths import Home, storage_error
from core.serving.candidates import parse_candidate, title
from core.text import one_line

_QUESTIONS = 100
_SEALED = "A blind vote on these answers is open, or cannot be read; results are shown when it has ended."
_NEW = "new"
"""Stands for the id of a comparison that is not made yet."""
_FORMS = "model:NAME, run:ID[@best|@STEP], gguf:FILE or endpoint:URL#MODEL"


def add_evaluate_verb(verbs: Any) -> None:
    """Give the command line its verb; `verbs` is what `add_subparsers` returned."""
    text = "Let judges mark what models answer to held-out questions; without a judge, automatic metrics only."
    parser = add_verb(verbs, "evaluate", evaluate, text)
    parser.add_argument("candidates", metavar="CANDIDATE", nargs="*", help=_FORMS)
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--comparison", metavar="ID", help="evaluate the answers of an earlier comparison, or 'last'")
    other.add_argument("--resume", metavar="ID", help="go on with an evaluation, or 'last'; nothing is asked twice")
    other.add_argument("--list", action="store_true", help="list evaluations, the newest first")
    other.add_argument("--report", metavar="ID", help="write the evidence pack of an evaluation, or of 'last'")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="with --report: a new .html file, or .zip for all of it"
    )
    _add_question_options(parser)
    add_judge_options(parser)
    parser.add_argument("--estimate", action="store_true", help="only say what would be asked and what it would cost")


def _add_question_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--title", default="", metavar="TEXT", help="what lists call it")
    parser.add_argument("--run", metavar="RUN", help="whose prompt, reward and data count (default: the first named)")
    parser.add_argument(
        "--questions", type=positive, default=_QUESTIONS, metavar="N", help=f"how many to ask (default: {_QUESTIONS})"
    )
    first = "which of the models, counted from 1, the others are compared with (default: 1)"
    parser.add_argument("--baseline", type=positive, default=1, metavar="N", help=first)
    by_type = "column with the type of question, each of which is asked in proportion; '' for none (default: if found)"
    parser.add_argument("--type", metavar="COLUMN", help=by_type)
    add_decoding_options(parser)


def evaluate(options: argparse.Namespace, home: Home) -> Any:
    """Do what the options say: evaluate, go on, list, or write a report.

    Raises:
        StudioError: the evaluation failed or was stopped; what there is of it has been printed.
    """
    named = sum(map(bool, (options.candidates, options.comparison, options.resume, options.list, options.report)))
    if named != 1:
        raise ConfigError("Name models to evaluate, or one of --comparison, --resume, --list and --report.")
    if options.out and not options.report:
        raise ConfigError("--out says where --report is written. Add --report ID, or leave it out.")
    ways = ((options.list, _list), (options.report, _report), (options.resume, _resume))
    return next((way for chosen, way in ways if chosen), _start)(options, home)


def _start(options: argparse.Namespace, home: Home) -> Any:
    """Set an evaluation up and do it."""
    kept = find_comparison(home, options.comparison) if options.comparison else None
    asked = kept.request() if kept else _asked(options, home)
    request = _request(options, kept.id if kept else _NEW, asked)
    refuse_misfit(request, asked)
    known = kept.answers() if kept else []
    if options.estimate:
        return _estimate(options, request, asked, known)
    refuse_judges(request.judges)
    print(*estimate_lines(request, asked, estimate(request, asked, known)), sep="\n", file=sys.stderr, flush=True)
    comparison = kept or create_comparison(home, asked)
    evaluation = create_evaluation(home, request.model_copy(update={"comparison": comparison.id}))
    print(f"Kept as {evaluation.id}.", file=sys.stderr, flush=True)
    return _finish(options, home, evaluation)


def _asked(options: argparse.Namespace, home: Home) -> ComparisonRequest:
    """What is asked of whom."""
    candidates = [parse_candidate(text, home) for text in options.candidates]
    run, config = run_and_config(options.run, candidates, home)
    found = held_out_questions(home, config)
    if not found:
        raise DataError("The data of this run holds out neither a test nor a validation split. Choose another --run.")
    column = _type_column(options, found)
    return make_request(
        title=options.title or f"Evaluation of {', '.join(map(title, candidates))}"[:200],
        run=run,
        candidates=candidates,
        questions=choose_questions(found, options.questions, column, options.seed or 0),
        prompt=config.prompt,
        decoding=decoding_of(options),
        reward=config.reward,
    )


def _type_column(options: argparse.Namespace, questions: Sequence[Question]) -> str:
    """The column that was named, else the first that may name types, else none."""
    return options.type if options.type is not None else next(iter(type_columns(questions)), "")


def _request(options: argparse.Namespace, comparison: str, asked: ComparisonRequest) -> EvaluationRequest:
    """How the answers are evaluated."""
    if options.baseline > len(asked.candidates):
        raise ConfigError(
            f"--baseline is {options.baseline}, and there are {len(asked.candidates)} models. Choose one."
        )
    request = make_evaluation_request(
        title=options.title,
        comparison=comparison,
        type_column=_type_column(options, asked.questions),
        baseline=options.baseline - 1,
        **judge_fields(options),
    )
    return request.model_copy(update={"judges": tuple(map(with_prices, request.judges))})


def _resume(options: argparse.Namespace, home: Home) -> Any:
    evaluation = find_evaluation(home, options.resume)
    request, comparison = evaluation.request(), comparison_of(home, evaluation)
    asked, known = comparison.request(), comparison.answers()
    if options.estimate:
        return _estimate(options, request, asked, known, evaluation)
    refuse_judges(request.judges)
    left = estimate(request, asked, known, evaluation.verdicts())
    print(*estimate_lines(request, asked, left), sep="\n", file=sys.stderr, flush=True)
    return _finish(options, home, evaluation)


def _finish(options: argparse.Namespace, home: Home, evaluation: Evaluation) -> None:
    """Do the work, and print what has been counted however it ends."""
    try:
        finish_task(home, KIND, {"evaluation": evaluation.id})
    except StudioError:
        print(f"Go on with: python -m core evaluate --resume {evaluation.id}", file=sys.stderr)
        raise
    finally:
        sealed = _is_sealed(home, evaluation)
        results = None if sealed else evaluation.results()
        if sealed:
            print(_SEALED, file=sys.stderr)
        if results is not None and options.json:
            print(json_line(evaluation_record(evaluation, results)))
        elif results is not None:
            print(*map(plain, result_lines(results)), sep="\n")


def _estimate(
    options: argparse.Namespace,
    request: EvaluationRequest,
    asked: ComparisonRequest,
    answers: list[ComparedAnswer],
    evaluation: Evaluation | None = None,
) -> Any:
    """Say what would be asked; nothing is kept."""
    found = estimate(request, asked, answers, evaluation.verdicts() if evaluation else None)
    if options.json:
        return {"judges": [asdict(judge) for judge in found.judges], "total": asdict(found.total)}
    print(*estimate_lines(request, asked, found), sep="\n")
    return None


def _is_sealed(home: Home, evaluation: Evaluation) -> bool:
    """Whether raters judge the same answers blind, or whether they do cannot be told; then no result is shown."""
    try:
        return being_judged(comparison_of(home, evaluation))
    except StudioError:
        return True


def _list(options: argparse.Namespace, home: Home) -> Any:
    """All evaluations; what is hidden or cannot be read says so in its line."""
    found = list_evaluations(home)
    sealed = {evaluation.id for evaluation in found if _is_sealed(home, evaluation)}
    if options.json:
        return [evaluation_record(one, None if one.id in sealed else one.results()) for one in found]
    for evaluation in found:
        try:
            name = one_line(evaluation.request().title, 60)
            results = None if evaluation.id in sealed else evaluation.results()
            said = "not counted yet" if results is None else next(iter(headline(results)), "")
            print(plain(f"{evaluation.id}  {name}  {_SEALED if evaluation.id in sealed else said}"))
        except StudioError as error:
            print(plain(f"{evaluation.id}  {error}"))
    if not found:
        print("There are no evaluations yet.")
    return None


def _report(options: argparse.Namespace, home: Home) -> Any:
    """Write the evidence pack anew, and copy it to where it is wanted."""
    evaluation = find_evaluation(home, options.report)
    report_again(home, evaluation)
    folder = evaluation.report_folder
    file = folder / REPORT
    if options.out:
        file = options.out.resolve()
        _copy(folder / (PACK if file.suffix == ".zip" else REPORT), file)
    if not options.json:
        print(f"The report of {evaluation.id} is {file}.")
    return {"evaluation": evaluation.id, "file": str(file), "bytes": file.stat().st_size}


def _copy(source: Path, file: Path) -> None:
    """Copy a file of a report to a new place.

    Raises:
        StorageError: there is a file already, or it cannot be written.
    """
    try:
        with file.open("xb") as new:
            new.write(source.read_bytes())
    except FileExistsError as error:
        raise StorageError(f"{file} is there already. Choose another name for --out.") from error
    except OSError as error:
        said = f"{file} cannot be written ({error.strerror}). Choose another place for --out."
        raise storage_error(error, file) or StorageError(said) from error
