"""What `map` sends along: the items that tasks work on, and a function as a script.

Items lie beside the script, a JSON value a line, with an index of where each line starts:
a task opens both, reads its own line, and nobody has to know how many there are.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from . import INDEX, ITEMS, _INDEX_BYTES, _plain
from .errors import InputError
from .job import File

#: Most tasks of one job.
TASKS_MAX = 1_000_000
#: Most bytes of all items: what may lie beside a script, less its packages.
ITEMS_BYTES_MAX = 192 << 20


def pack(items: Iterable[Any]) -> tuple[list[File], list[Any]]:
    """The files for these items, and the items themselves."""
    listed: list[Any] = []
    lines, places = bytearray(), bytearray()
    for number, item in enumerate(items):
        if number >= TASKS_MAX:
            raise InputError(
                f"more than {TASKS_MAX} items",
                "a job has no more tasks: give each task several of them",
            )
        try:
            line = json.dumps(item, default=_plain, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"item {number} cannot be sent to its task: {error}",
                "items are what JSON can hold; name files and tables by a path or URL instead",
            ) from None
        places += len(lines).to_bytes(_INDEX_BYTES, "little")
        lines += line.encode() + b"\n"
        if len(lines) > ITEMS_BYTES_MAX:
            raise InputError(
                f"the items have more than {ITEMS_BYTES_MAX >> 20} MiB",
                "name data by a path or URL, or give it as `inputs`: each node reads it once",
            )
        listed.append(item)
    return [File(ITEMS, bytes(lines)), File(INDEX, bytes(places))], listed


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The items, `size` of them at a time."""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def script(function: Callable[[Any], Any], *, batched: bool = False) -> File:
    """The script that gives `function` its item and returns what it returns; `batched`, for
    each of a list of items.

    Its source is sent, and nothing else: what it uses it has to import or define itself.
    The modules that it finds where it stands are imported for it.

    :raises InputError: it is more than its source; the text says what.
    """
    name = getattr(function, "__name__", repr(function))
    if not inspect.isfunction(function) or name == "<lambda>":
        raise _refused(name, "is not a function with a `def` of its own")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise _refused(name, "is no plain function: it awaits or yields")
    if function.__code__.co_freevars:
        names = ", ".join(function.__code__.co_freevars)
        raise _refused(name, f"closes over {names}, which stay here")
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        raise _refused(name, "has no source that can be read") from None
    if not isinstance(tree, ast.FunctionDef):
        raise _refused(name, "is not a function with a `def` of its own")
    if tree.decorator_list:
        raise _refused(name, "has a decorator, which stays here")
    imports = _imports(name, tree, function.__globals__)
    text = "\n".join(
        [
            "from __future__ import annotations",
            *imports,
            "import stint as _stint",
            "",
            source,
            "",
            f"_stint.result([{name}(_one) for _one in _stint.item()])"
            if batched
            else f"_stint.result({name}(_stint.item()))",
            "",
        ]
    )
    return File(f"{name}.py", text.encode())


def _imports(name: str, tree: ast.FunctionDef, around: dict[str, Any]) -> list[str]:
    """Imports for the modules that the function finds around it; it may find nothing else."""
    for argument in ast.walk(tree):
        # Annotations are never looked at, here or there.
        if isinstance(argument, ast.arg):
            argument.annotation = None
        elif isinstance(argument, ast.AnnAssign):
            argument.annotation = ast.Constant(None)
        elif isinstance(argument, ast.FunctionDef):
            argument.returns = None
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = {node.id for node in nodes if not isinstance(node.ctx, ast.Load)}
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            own |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            own.add(node.name)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            raise _refused(name, f"changes {', '.join(node.names)}, which stay here")
    lines = []
    for free in sorted({node.id for node in nodes} - own):
        value = around.get(free)
        if isinstance(value, ModuleType):
            lines.append(f"import {value.__name__} as {free}")
        elif free in around:
            raise _refused(name, f"uses `{free}`, which stays here")
        elif not hasattr(builtins, free):
            raise _refused(name, f"uses `{free}`, which is nowhere")
    return lines


def _refused(name: str, why: str) -> InputError:
    return InputError(
        f"`{name}` cannot be sent: it {why}",
        "let the function import and define all that it uses, or write a script that calls "
        "stint.item() and stint.result()",
    )
