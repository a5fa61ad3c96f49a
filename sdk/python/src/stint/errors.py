"""Everything that can go wrong, each with what to do next.

    StintError
    ├── Unreachable      no scheduler answers
    ├── Problem          it answers no: `title`, `detail`, `kind` (`urn:stint:…`), `status`
    │   ├── Unauthorized   the token is missing or wrong
    │   ├── NotFound       no such job, kit, … (or it was forgotten)
    │   └── QuotaExceeded  the namespace has what it may have
    ├── InputError       what was asked for cannot be sent (a ValueError too)
    ├── TaskFailed       a task ended other than well: reason, code, traceback
    ├── JobCancelled     somebody cancelled the job
    └── WaitTimeout      not over in the time given (a TimeoutError too)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class StintError(Exception):
    """Something went wrong; `hint` says what to do next, where that is known."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")


class Unreachable(StintError):
    """No scheduler answered, or the connection broke and did not come back."""


class InputError(StintError, ValueError):
    """What was asked for cannot be sent; nothing was submitted."""


class WaitTimeout(StintError, TimeoutError):
    """A job was not over in the time given. It goes on."""


class JobCancelled(StintError):
    """Somebody cancelled the job `job`."""

    def __init__(self, job: str) -> None:
        super().__init__(f"{job} was cancelled")
        self.job = job


class Problem(StintError):
    """The scheduler's refusal: its problem+json (RFC 9457)."""

    def __init__(self, body: Mapping[str, Any], status: int) -> None:
        self.kind = str(body.get("type", "about:blank"))
        self.title = str(body.get("title", f"HTTP {status}"))
        self.detail = str(body.get("detail", ""))
        self.status = status
        hint = body.get("hint")
        super().__init__(self.detail or self.title, None if hint is None else str(hint))

    @staticmethod
    def of(body: Mapping[str, Any], status: int) -> Problem:
        """The error for an answer, of the narrowest class."""
        name = str(body.get("type", "")).removeprefix("urn:stint:")
        if status == 401:
            return Unauthorized(body, status)
        if status == 404:
            return NotFound(body, status)
        if name == "quota":
            return QuotaExceeded(body, status)
        return Problem(body, status)


class Unauthorized(Problem):
    """The token is missing or wrong."""


class NotFound(Problem):
    """There is no such thing, or no more: jobs that are over for long are forgotten."""


class QuotaExceeded(Problem):
    """The namespace has as much as its quota allows."""


class TaskFailed(StintError):
    """A task ended other than well.

    `reason` is one of the closed list (`exited`, `guest-memory-limit`, `deadline`, …),
    `code` the exit code where there is one, `outcome` all that the scheduler says of it,
    `traceback` what the program wrote last to standard error, `item` what it worked on.
    """

    def __init__(
        self, job: str, task: int, outcome: Mapping[str, Any], stderr: str = "", item: Any = None
    ) -> None:
        self.job = job
        self.task = task
        self.outcome = dict(outcome)
        self.reason = str(outcome.get("reason", "unknown"))
        code = outcome.get("code")
        self.code = code if isinstance(code, int) else None
        self.traceback = _traceback(stderr)
        self.item = item
        super().__init__(f"task {task} of {job} {self._ended()}", _hint(self))
        if self.traceback:
            self.add_note(self.traceback)

    def _ended(self) -> str:
        said = self.traceback.strip().rpartition("\n")[2]
        text = f"ended as {self.reason}"
        if self.reason == "exited":
            text = f"exited with code {self.code}"
        for key in ("scope", "kind", "what", "syscall", "step", "input", "output", "message", "job"):
            if key in self.outcome:
                text += f" ({self.outcome[key]})"
                break
        return f"{text}: {said}" if said else text


def _traceback(stderr: str) -> str:
    """The last traceback in what a program wrote; the last lines where there is none."""
    start = stderr.rfind("Traceback (most recent call last):")
    return (stderr[start:] if start >= 0 else "\n".join(stderr.splitlines()[-20:])).strip()


#: What to do about an end, in the words of this client; docs/outcomes.md has all of them.
_HINTS = {
    "guest-memory-limit": "give it more: memory=…",
    "cgroup-oom": "the worker as a whole took more than its limit: give it more memory=…",
    "address-space": "a 32-bit module has at most 4Gi: split the work over more tasks",
    "deadline": "give it more time (timeout=…, task_timeout=…, job_timeout=…), or less to do",
    "stalled": "it called nothing of its host for too long: look where it loops, or raise stall=…",
    "scratch-full": "give it more disk: scratch=…",
    "output-limit": "return less, or write to stint.output(name) and name an output=…",
    "output-refused": "a result is one JSON value; an output is below what nodes are allowed to write",
    "input-unavailable": "it must be on the node, below what that is allowed to read",
    "preempted": "raise priority=…, or run it when there is more room",
    "node-lost": "the machine went away and no other finished the task: run it again",
    "worker-lost": "somebody or something killed the worker: look at the node's log, run it again",
    "start-failed": "the node has a problem of its own: look at its log",
    "dependency-failed": "look at that job first",
}


def _hint(failed: TaskFailed) -> str | None:
    missing = "ModuleNotFoundError: No module named '"
    last = failed.traceback.rpartition("\n")[2]
    if last.startswith(missing):
        name = last.removeprefix(missing).partition("'")[0].partition(".")[0]
        return (
            f"`{name}` is not in the kit: a package of Python alone comes along with "
            f"with_=['{name}']; one with native code cannot"
        )
    return _HINTS.get(failed.reason)
