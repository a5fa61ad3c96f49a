"""What a job's program sees of Stint: which task it is, what it works on, its result.

All of it is files and environment variables, so the same script runs under Stint, under
any Python, and in a test; where a variable is absent, a function falls back or says what
to do. This file needs the standard library alone: the Python kit has a copy of it, so
that every script can `import stint`.

    import stint

    numbers = stint.item()                    # what `client.map` gave this task
    for done, number in enumerate(numbers, 1):
        ...
        stint.progress(done / len(numbers), f"{done} numbers")
    stint.result({"sum": sum(numbers)})       # any JSON value; numpy's numbers and arrays too

`stint.Client`, which submits jobs and waits for them, is in the same package where that
is installed (`pip install`, see README.md); a task needs none.
"""

from __future__ import annotations

import json
import os
import sys

# As from `typing`, whose import a task would wait for longer than for all of this file.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .aio import AsyncClient
    from .mapping import AsyncMapping
    from .client import Client, Mapping
    from .errors import (
        InputError,
        JobCancelled,
        NotFound,
        Problem,
        QuotaExceeded,
        StintError,
        TaskFailed,
        Unauthorized,
        Unreachable,
        WaitTimeout,
    )

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncMapping",
    "Client",
    "InputError",
    "JobCancelled",
    "Mapping",
    "NoInput",
    "NoItem",
    "NotFound",
    "Problem",
    "QuotaExceeded",
    "ResultError",
    "StintError",
    "TaskFailed",
    "Unauthorized",
    "Unreachable",
    "WaitTimeout",
    "checkpoint",
    "input",
    "item",
    "metric",
    "output",
    "progress",
    "result",
    "task_count",
    "task_index",
    "try_number",
]

#: Most bytes of a result: more of it belongs in files of `output`.
RESULT_BYTES_MAX = 64 << 10
#: Beside a script that runs for `client.map`: what the tasks work on, a JSON value a line,
ITEMS = "items.jsonl"
#: and where each line starts: 8 bytes each, little-endian, so that no task reads them all.
INDEX = "items.index"
_INDEX_BYTES = 8

#: What the rest of the package brings, and from which of its files.
_REST = {
    "Client": "client",
    "Mapping": "client",
    "AsyncClient": "aio",
    "AsyncMapping": "mapping",
    "InputError": "errors",
    "JobCancelled": "errors",
    "NotFound": "errors",
    "Problem": "errors",
    "QuotaExceeded": "errors",
    "StintError": "errors",
    "TaskFailed": "errors",
    "Unauthorized": "errors",
    "Unreachable": "errors",
    "WaitTimeout": "errors",
}


def __getattr__(name: str) -> Any:
    """Imports the client when it is asked for: a task that asks for nothing pays nothing."""
    if name not in _REST:
        raise AttributeError(f"module 'stint' has no attribute '{name}'")
    import importlib

    try:
        module = importlib.import_module(f"{__name__}.{_REST[name]}")
    except ModuleNotFoundError as error:
        raise AttributeError(
            f"`stint.{name}` is not here ({error}): a task has what it is given, and submits "
            "nothing; where jobs are submitted, install the package `stint` with its client"
        ) from error
    return getattr(module, name)


class NoInput(FileNotFoundError):
    """An input is not there; the text says what to do."""


class NoItem(LookupError):
    """This task was given no item; the text says what to do."""


class ResultError(ValueError):
    """A result is not one that can be returned; the text says why."""


def task_index() -> int:
    """The index of this task within its job, from 0."""
    return _number("STINT_TASK_INDEX", 0)


def task_count() -> int:
    """How many tasks the job has; at least 1."""
    return max(_number("STINT_TASK_COUNT", 1), 1)


def try_number() -> int:
    """Which start of this task this is on its node, from 1. Above 1 after a retry."""
    return _number("STINT_TRY", 1)


def _number(variable: str, absent: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdigit() else absent


def input(name: str) -> str:
    """The path of the input `name`: a file or a directory, read-only.

    That is `/in/NAME`, or `NAME` in the directory that STINT_IN names.
    """
    path = os.path.join(os.environ.get("STINT_IN", "/in"), name)
    if not os.path.exists(path):
        raise NoInput(
            f"no input `{name}` at {path}: submit the job with `--input {name}=file:///its/path`, "
            f"or natively set STINT_IN to the directory that holds `{name}`"
        )
    return path


def output(name: str) -> str:
    """Where to write the output file `name`: in `/out`, in the directory that STINT_OUT
    names, or, where there is neither, right here."""
    return os.path.join(_out() or "", name)


def _out() -> str | None:
    named = os.environ.get("STINT_OUT")
    return named or ("/out" if os.path.isdir("/out") else None)


def item() -> Any:
    """What this task works on: its element of the `inputs` of `client.map`.

    Natively that is line `task_index()` of the file that STINT_ITEMS names, or of
    `items.jsonl` beside the script.
    """
    place = os.path.dirname(getattr(sys.modules.get("__main__"), "__file__", None) or "")
    path = os.environ.get("STINT_ITEMS") or os.path.join(place, ITEMS)
    task = task_index()
    try:
        with open(path, "rb") as lines:
            lines.seek(_start(path, task))
            line = lines.readline()
    except FileNotFoundError:
        raise NoItem(
            f"there is no {path}: run the script with `client.map(script, inputs)`, or natively "
            "set STINT_ITEMS to a file with a JSON value a line"
        ) from None
    if not line.strip():
        raise NoItem(f"{path} has no line for task {task}")
    return json.loads(line)


def _start(path: str, task: int) -> int:
    """Where the line of a task starts; without an index, after the lines before it."""
    place, name = os.path.split(path)
    try:
        # The index beside it is that of `items.jsonl`, and of no other file.
        if name != ITEMS:
            raise FileNotFoundError
        with open(os.path.join(place, INDEX), "rb") as places:
            places.seek(task * _INDEX_BYTES)
            start = places.read(_INDEX_BYTES)
    except FileNotFoundError:
        with open(path, "rb") as lines:
            return sum(len(lines.readline()) for _ in range(task))
    if len(start) < _INDEX_BYTES:
        raise NoItem(f"there is no item for task {task}")
    return int.from_bytes(start, "little")


def result(value: Any) -> None:
    """Returns `value` as the result of this task; the last call counts.

    It is anything that JSON can hold, and what numpy and pandas make of that. It goes to
    `result.json` in `/out`, or in the directory that STINT_OUT names; where there is
    neither, it is printed.
    """
    try:
        text = json.dumps(value, default=_plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        why = f"{error}; JSON has null (None) in the place of NaN" if "float" in str(error) else error
        raise ResultError(f"a result is what JSON can hold: {why}") from None
    if len(text.encode()) > RESULT_BYTES_MAX:
        raise ResultError(
            f"the result has {len(text.encode())} bytes, at most {RESULT_BYTES_MAX} are kept: "
            "write what is large to `stint.output(name)`, and name an `output`"
        )
    out = _out()
    if out is None:
        print(text)
        return
    with open(os.path.join(out, "result.json"), "w", encoding="utf-8") as file:
        file.write(text)


def _plain(value: Any) -> Any:
    """What JSON can hold of a number or an array of numpy's, a series, a table."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    for way in ("tolist", "to_dict", "isoformat"):
        if hasattr(value, way):
            return getattr(value, way)()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not")


def progress(done: float, message: str = "") -> None:
    """Says how far this task is, from 0 to 1, and what it does.

    Nothing that goes wrong here is worth a task's failure, so nothing is raised.
    """
    _say({"progress": done, "message": message})


def metric(name: str, value: float) -> None:
    """Says the latest value of something that this task measures, for example a loss."""
    _say({"metric": name, "value": value})


def _say(what: dict[str, Any]) -> None:
    path = os.environ.get("STINT_EVENTS")
    if not path:
        return
    try:
        line = json.dumps(what, default=_plain, allow_nan=False)
        # One write, so that no half of a line is read.
        with open(path, "ab", buffering=0) as file:
            file.write(line.encode() + b"\n")
    except (OSError, TypeError, ValueError):
        pass


class _Checkpoint:
    """What a task saves for its next attempt: after a failure it goes on where it was.

    It is kept in a file of the directory that STINT_CHECKPOINT names, which comes back for
    the next attempt on the same node. Without that, nothing is saved and nothing is found.
    """

    def dir(self) -> str | None:
        """The directory itself, for those who save files of their own; they make it."""
        return os.environ.get("STINT_CHECKPOINT") or None

    def load(self) -> bytes | None:
        """What an earlier attempt of this task saved last, if any did."""
        place = self.dir()
        if place is None:
            return None
        try:
            with open(os.path.join(place, "state"), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def save(self, state: bytes | str) -> None:
        """Saves `state` in the place of what was saved before: an attempt that is killed
        meanwhile leaves the one or the other, whole."""
        place = self.dir()
        if place is None:
            return
        os.makedirs(place, exist_ok=True)
        beside = os.path.join(place, "state.new")
        with open(beside, "wb") as file:
            file.write(state.encode() if isinstance(state, str) else state)
        os.replace(beside, os.path.join(place, "state"))


checkpoint = _Checkpoint()
