"""What the scheduler answers, as it answers it: JSON objects with these keys, and more.

`GET /openapi.json` of a scheduler has every key; what it leaves out is absent here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]

#: Nothing changes any more.
FINAL = frozenset({"succeeded", "failed", "cancelled"})


class TaskCounts(TypedDict):
    total: int
    pending: int
    granted: int
    succeeded: int
    failed: int


class _TaskFailure(TypedDict):
    task: int
    outcome: dict[str, Any]


class TaskFailure(_TaskFailure, total=False):
    stderr_tail: str


class _Job(TypedDict):
    id: str
    spec: dict[str, Any]
    state: JobState
    tasks: TaskCounts
    attempts: int
    usage: dict[str, Any]
    submitted_at: str


class Job(_Job, total=False):
    """A job, as `GET /v1/jobs/{id}` shows it."""

    first_failure: TaskFailure
    suspended_at: str
    rerun_of: str
    started_at: str
    ended_at: str
    #: Why it waits, while tasks are pending.
    waiting: str


class Event(TypedDict):
    """Something that happened to a job; `what["kind"]` says what."""

    seq: int
    at: str
    job: str
    what: dict[str, Any]


class Node(TypedDict):
    """A node, as `GET /v1/nodes` shows it."""

    id: str
    state: Literal["ready", "lost"]
    duty: Literal["open", "cordoned", "draining", "drained"]
    capacity: dict[str, Any]
    free: dict[str, Any]
    labels: dict[str, str]
    limits: str
    version: str


@dataclass(frozen=True)
class Log:
    """A piece of what a task wrote."""

    task: int
    attempt: str
    stream: Literal["stdout", "stderr"]
    data: bytes

    @property
    def text(self) -> str:
        """As text; bytes that are none are replaced."""
        return self.data.decode(errors="replace")
