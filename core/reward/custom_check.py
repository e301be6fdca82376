"""What can be said of a custom reward's file without running it, with the line it is about."""

from __future__ import annotations

import ast
import warnings

FUNCTION = "reward"
"""The name that the function in a custom reward has."""
PASSED = (
    *("prompts", "completions", "model_answer", "model_reasoning"),
    *("question", "reference", "answer", "group"),
)
"""What the function is always given, by name; beside it every further column that the data carries."""

_TRAINER_ONLY = frozenset(["completion_ids", "trainer_state", "log_extra", "log_metric", "environments"])
"""What TRL's trainer gives to a reward function and the studio cannot, since it scores without a trainer as well."""
_WRITTEN = frozenset(["completions", "model_answer", "model_reasoning"])
"""What the model wrote, whole or in parts; a function that takes none of it scores nothing."""
_MAX_BYTES = 1_000_000


def check(content: bytes) -> str | None:
    """Why a file cannot be a custom reward, in a sentence with its line; None when nothing speaks against it.

    >>> check(b"def reward(completions, **kwargs):\\n    return [0.0 for _ in completions]")
    >>> check(b"def reward(completions, **kwargs)\\n    return []")
    "Line 1 is not Python: expected ':'. Correct the line."
    """
    if len(content) > _MAX_BYTES:
        return f"It has {len(content):,} bytes, and a custom reward at most {_MAX_BYTES:,}. Leave data out of it."
    try:
        source = content.decode("utf-8-sig")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as for "\d"; the user's file may be as it likes
            tree = ast.parse(source)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return f"Line {line} is not UTF-8 text. Save the file as UTF-8."
    except SyntaxError as error:
        return f"Line {error.lineno or 1} is not Python: {error.msg}. Correct the line."
    except (ValueError, RecursionError, MemoryError):  # what the parser says of null bytes and of endless nesting
        return "It is not a Python file. Upload the file as you wrote it, as plain text."
    return _check_function(tree)


def _check_function(tree: ast.Module) -> str | None:
    wanted = f"def {FUNCTION}(completions, **kwargs)"
    found = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == FUNCTION
    ]
    if not found:
        return f"It has no function {FUNCTION}. Write one that begins with {wanted}: at the left margin."
    function = found[-1]
    if isinstance(function, ast.AsyncFunctionDef):
        return f"Line {function.lineno}: {FUNCTION} is async, and the studio calls plain functions. Write {wanted}."
    arguments = function.args
    if arguments.posonlyargs:
        return f"Line {function.lineno}: {FUNCTION} takes arguments by position, but they come by name. Remove the '/'."
    names = [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)]
    if arguments.kwarg is None and _WRITTEN.isdisjoint(names):
        return f"Line {function.lineno}: {FUNCTION} takes no completions. Write {wanted}."
    asked = sorted(_TRAINER_ONLY & _required(arguments))
    if asked:
        return (
            f"Line {function.lineno}: {FUNCTION} asks for {asked[0]}, which only a trainer has. It can have "
            f"{', '.join(PASSED)} and the columns that the data carries."
        )
    return None


def _required(arguments: ast.arguments) -> set[str]:
    """The names of the arguments that have no default."""
    plain = arguments.args[: len(arguments.args) - len(arguments.defaults)]
    named = [a for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return {argument.arg for argument in (*plain, *named)}
