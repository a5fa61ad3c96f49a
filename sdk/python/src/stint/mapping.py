"""A job that `map` made: what its tasks return, as they do or in the order of the items.

The job's events say which tasks are done; then the results are read from the first task on
that is not known yet, a fetch for many of them. Whoever leaves early cancels the rest.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from .errors import JobCancelled, StintError, TaskFailed
from .bar import Bar

if TYPE_CHECKING:
    from .aio import AsyncClient
    from .job import Draft

#: Told how many of how many tasks are done; True and False for a bar or none, None for one
#: where somebody looks.
Progress = Callable[[int, int], object] | bool | None

#: First and longest wait between two looks at the results: what ends meanwhile is one fetch.
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.01, 0.5
#: Longest wait for the scheduler to hear that a job which is left is cancelled.
CANCEL_SECONDS = 5.0
#: Ends of a program's own, which it may have explained on standard error.
WRITES = ("exited", "trapped", "guest-memory-limit")
#: In the id of an attempt, `NAMESPACE.JOB.tTASK.gGRANT.TRY`: the task.
TASK = re.compile(r"\.t(\d+)\.g\d+\.\d+$")


class AsyncMapping:
    """The results of one `map`: an async iterator in the order of the items."""

    def __init__(
        self,
        client: AsyncClient,
        draft: Draft,
        items: list[Any],
        progress: Progress,
        *,
        is_batched: bool = False,
    ) -> None:
        #: The job's id, once it is submitted; without items there is no job.
        self.job: str | None = None
        self._client = client
        self._draft = draft
        #: What each task works on; a list of items where these come in batches.
        self._items = items
        sizes = [len(batch) if is_batched else 1 for batch in items]
        #: The index of the first item of each task, and how many there are.
        self._firsts = list(itertools.accumulate(sizes, initial=0))
        self._is_batched = is_batched
        self._bar = Bar.of(progress, draft.program.name, len(self))
        self._known = bytearray(len(items))
        #: Tasks that ended for good since the last look, and how.
        self._ended: dict[int, dict[str, Any]] = {}
        self._news = asyncio.Event()
        self._is_over = False
        self._broken: BaseException | None = None
        self._ordered: AsyncGenerator[Any] | None = None

    def __len__(self) -> int:
        return self._firsts[-1]

    async def start(self) -> str | None:
        """Submits the job, unless that was done; its id."""
        if self.job is None and self._items:
            submit = asyncio.ensure_future(self._client.submit_draft(self._draft))
            try:
                self.job = await asyncio.shield(submit)
            except asyncio.CancelledError:
                # It may be made all the same, and nobody would know of it.
                await asyncio.wait({submit}, timeout=CANCEL_SECONDS)
                if submit.done() and not submit.cancelled() and submit.exception() is None:
                    self.job = submit.result()
                    await self._leave()
                submit.cancel()
                raise
        return self.job

    def __aiter__(self) -> AsyncMapping:
        return self

    async def __anext__(self) -> Any:
        if self._ordered is None:
            self._ordered = self.in_order()
        return await anext(self._ordered)

    async def aclose(self) -> None:
        """Leaves: what is not done of the job is cancelled."""
        if self._ordered is not None:
            await self._ordered.aclose()
        await self._leave()

    async def in_order(self, *, return_failures: bool = False) -> AsyncGenerator[Any]:
        """Results in the order of the items; with `return_failures`, a TaskFailed stands
        in the place of a result, else the first one is raised and the rest cancelled."""
        waiting: dict[int, Any] = {}
        place = 0
        async with aclosing(self.as_completed(return_failures=True)) as completed:
            async for task, value in completed:
                waiting[task] = value
                while place in waiting:
                    value = waiting.pop(place)
                    place += 1
                    if isinstance(value, TaskFailed) and not return_failures:
                        raise value
                    yield value
                # What comes before it is of no use to who will get this.
                if isinstance(waiting.get(task), TaskFailed) and not return_failures:
                    raise waiting[task]

    async def as_completed(
        self, *, return_failures: bool = False
    ) -> AsyncGenerator[tuple[int, Any]]:
        """The index of an item and its result, as they come."""
        job = await self.start()
        if job is None:
            return
        follower = asyncio.create_task(self._follow(job))
        try:
            async with aclosing(self._batches(job)) as batches:
                async for batch in batches:
                    each = [one for task, value in batch for one in self._each(task, value)]
                    failed = sum(isinstance(value, TaskFailed) for _, value in each)
                    self._bar.update(len(each), failed)
                    for index, value in each:
                        if isinstance(value, TaskFailed) and not return_failures:
                            raise value
                        yield index, value
        finally:
            follower.cancel()
            await self._leave()

    def _each(self, task: int, value: Any) -> list[tuple[int, Any]]:
        """What a task came to, for each of its items; its failure is that of all of them."""
        first, end = self._firsts[task], self._firsts[task + 1]
        if not self._is_batched:
            return [(first, value)]
        values = value if isinstance(value, list) else [value] * (end - first)
        return list(zip(range(first, end), values, strict=True))

    async def _leave(self) -> None:
        self._bar.close()
        if self.job is not None and not self._is_over and not all(self._known):
            self._is_over = True
            try:
                # Also when this task is being cancelled itself.
                await asyncio.shield(
                    asyncio.wait_for(self._client.cancel(self.job), CANCEL_SECONDS)
                )
            except (StintError, TimeoutError):
                # It is left either way; the scheduler's own timeouts end it.
                pass

    async def _follow(self, job: str) -> None:
        try:
            async with aclosing(self._client.events(job)) as events:
                async for event in events:
                    what = event["what"]
                    if what["kind"] == "ended" and what.get("final"):
                        self._ended.update(dict.fromkeys(_tasks(what), what["outcome"]))
                        self._news.set()
            self._is_over = True
        except StintError as error:
            self._broken = error
        self._news.set()

    async def _batches(self, job: str) -> AsyncGenerator[list[tuple[int, Any]]]:
        pause = PAUSE_SECONDS
        first = 0
        while not all(self._known):
            await self._news.wait()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, PAUSE_SECONDS_MAX)
            self._news.clear()
            if self._broken is not None:
                raise self._broken
            # Before the results are read: these have theirs among them.
            ended, self._ended = self._ended, {}
            is_over = self._is_over
            batch = []
            # What was there at the last look is not read again, until the last of all.
            start = first if is_over else min(ended, default=first)
            async with aclosing(self._client.results(job, start)) as results:
                async for task, value in results:
                    if self._learn(task):
                        batch.append((task, value))
            for task, outcome in ended.items():
                if self._learn(task):
                    batch.append((task, await self._value(job, task, outcome)))
            if is_over:
                batch += await self._rest(job)
            first = self._known.find(0, first)
            yield sorted(batch, key=lambda one: one[0])

    def _learn(self, task: int) -> bool:
        """Whether it was not known before."""
        is_new = task < len(self._known) and not self._known[task]
        if is_new:
            self._known[task] = 1
        return is_new

    async def _value(self, job: str, task: int, outcome: dict[str, Any]) -> Any:
        """What a task without a result came to."""
        if outcome.get("reason") == "succeeded":
            return None
        wrote = outcome.get("reason") in WRITES
        stderr = await self._client.stderr_tail(job, task) if wrote else ""
        return TaskFailed(job, task, outcome, stderr, self._items[task])

    async def _rest(self, job: str) -> list[tuple[int, Any]]:
        """The job is over: tasks that nothing is known of ended with it, or long ago."""
        rest = [task for task, known in enumerate(self._known) if not known]
        if not rest:
            return []
        view = await self._client.job(job)
        if view["state"] == "cancelled":
            raise JobCancelled(job)
        tasks = await self._client.tasks(job)
        failed = set()
        for run in tasks["runs"]:
            first, _, last = run["tasks"].partition("-")
            if run["state"] != "succeeded":
                failed |= set(range(int(first), int(last or first) + 1))
        # Of others nobody knows any more how they ended, or they never ran.
        outcomes: dict[int, dict[str, Any]] = {}
        for attempt in tasks["history"]:
            if attempt.get("final"):
                outcomes.update(dict.fromkeys(_tasks(attempt), attempt["outcome"]))
        if (failure := view.get("first_failure")) is not None:
            outcomes.setdefault(failure["task"], failure["outcome"])
        batch: list[tuple[int, Any]] = []
        for task in rest:
            self._learn(task)
            outcome = outcomes.get(task, {"reason": "unknown"})
            is_bad = task in failed
            batch.append((task, TaskFailed(job, task, outcome, "", self._items[task]) if is_bad else None))
        return batch


def _tasks(attempt: Mapping[str, Any]) -> range:
    """The tasks that an attempt stands for, with those behind it that ended alike."""
    found = TASK.search(attempt["attempt"])
    first = int(found[1]) if found else 0
    return range(first, first + int(attempt["tasks"]))
