"""The client for those who do not await: `AsyncClient`, each call waited for.

What it does is in `aio.py`, on an event loop in a thread of the client's own, so that it
works in a notebook, whose own loop runs already. Ctrl-C reaches whoever waits here.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from .aio import PATIENCE_SECONDS, AsyncClient, Program
from .job import JobFields
from .mapping import AsyncMapping, Progress
from .views import Event, Job, Log, Node

if TYPE_CHECKING:
    from typing import Self, Unpack

T = TypeVar("T")

#: Longest until what is cancelled has put away what it holds.
CANCEL_SECONDS = 10.0


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        #: What is not closed yet.
        self.streams: weakref.WeakSet[_Stream[Any]] = weakref.WeakSet()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stint", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for `work`; an interruption of the wait cancels it, and waits for that."""
        tasks: list[asyncio.Task[T]] = []
        done = threading.Event()

        def begin() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(lambda _: done.set())

        self._loop.call_soon_threadsafe(begin)
        try:
            done.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())
            done.wait(CANCEL_SECONDS)
            raise
        return tasks[0].result()

    def is_waited_for(self) -> bool:
        """Whether this thread may: it is not the loop's own, and that runs."""
        return self._thread.is_alive() and threading.current_thread() is not self._thread

    def stop(self) -> None:
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Stream(Iterator[T], Generic[T]):
    """What an async generator yields, one waited for after the other."""

    def __init__(self, loop: _Loop, source: AsyncGenerator[T]) -> None:
        self._loop, self._source = loop, source
        # Also when nobody holds it any more: a loop over it was left.
        self._end = weakref.finalize(self, _leave, loop, source)
        loop.streams.add(self)

    def __next__(self) -> T:
        try:
            return self._loop.run(_next(self._source))
        except StopAsyncIteration:
            raise StopIteration from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leaves early."""
        self._end()


class Mapping(_Stream[Any]):
    """The results of one `map`, in the order of the items; it knows its length. Closed, or
    left by who held it, it cancels what is not done of the job."""

    def __init__(self, loop: _Loop, source: AsyncMapping, results: AsyncGenerator[Any]) -> None:
        super().__init__(loop, results)
        self._mapping = source
        #: The job's id; None when there were no items, and so no job.
        self.job = loop.run(source.start())
        self._end.detach()
        self._end = weakref.finalize(self, _leave, loop, results, source)

    def __len__(self) -> int:
        return len(self._mapping)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _next(source: AsyncGenerator[T]) -> T:
    return await anext(source)


class Client:
    """A client of one scheduler. Use it in one thread; see `AsyncClient` for parameters.

        with stint.Client("http://127.0.0.1:7070") as client:
            for score in client.map("score.py", [{"rate": 0.1}, {"rate": 0.2}]):
                print(score)
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        core = AsyncClient(server, token=token, token_file=token_file, patience=patience)
        self._adopt(_Loop(), core)

    def _adopt(self, loop: _Loop, core: AsyncClient) -> None:
        self._loop, self._core = loop, core
        # Also at the end of the program, or when nobody holds it any more.
        self._close = weakref.finalize(self, _close, loop, core)

    @classmethod
    def local(cls, *, binary: str | None = None, nodes: int = 1) -> Self:
        """A client of a scheduler and nodes of its own, until it is closed."""
        client = cls.__new__(cls)
        loop = _Loop()
        client._adopt(loop, loop.run(AsyncClient.local(binary=binary, nodes=nodes)))
        return client

    @property
    def server(self) -> str:
        """The scheduler's address."""
        return self._core.server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, and stops what `local` started."""
        self._close()

    def submit(
        self, program: Program, *, key: str | None = None, **fields: Unpack[JobFields]
    ) -> str:
        """Submits a job and returns its id; it is on the scheduler's disk by then."""
        return self._loop.run(self._core.submit(program, key=key, **fields))

    def map(
        self,
        program: Program | Callable[[Any], Any],
        items: Iterable[Any],
        /,
        *,
        return_failures: bool = False,
        batch: int = 1,
        progress: Progress = None,
        **fields: Unpack[JobFields],
    ) -> Mapping:
        """Submits a task for each item; an iterator of their results, in order.

        The script reads its item with `stint.item()` and returns with `stint.result()`; a
        plain function is sent as its source. The first task that fails raises TaskFailed
        and the rest is cancelled, as it is when the iterator is closed or interrupted;
        with `return_failures` a TaskFailed stands in the place of a result instead. With
        `batch`, each task of a function works on so many items: to start one takes longer
        than most functions do.
        """
        mapping = self._core.map(program, items, batch=batch, progress=progress, **fields)
        return Mapping(self._loop, mapping, mapping.in_order(return_failures=return_failures))

    def as_completed(
        self,
        program: Program | Callable[[Any], Any],
        items: Iterable[Any],
        /,
        *,
        return_failures: bool = False,
        batch: int = 1,
        progress: Progress = None,
        **fields: Unpack[JobFields],
    ) -> Mapping:
        """As `map`, but yields the index of an item and its result as they come."""
        mapping = self._core.map(program, items, batch=batch, progress=progress, **fields)
        return Mapping(self._loop, mapping, mapping.as_completed(return_failures=return_failures))

    def wait(self, job: str, *, timeout: float | None = None, check: bool = True) -> Job:
        """Waits until a job is over; raises TaskFailed for one that did not succeed, if
        `check` says so. An interruption leaves the job alone."""
        return self._loop.run(self._core.wait(job, timeout=timeout, check=check))

    def job(self, job: str) -> Job:
        """A job, as it is now."""
        return self._loop.run(self._core.job(job))

    def jobs(self, *, namespace: str | None = None, limit: int | None = None) -> Iterator[Job]:
        """Jobs, newest first; all of them, or the first `limit`."""
        return _Stream(self._loop, self._core.jobs(namespace=namespace, limit=limit))

    def tasks(self, job: str) -> dict[str, Any]:
        """The states of a job's tasks (`runs`), and the attempts that ended (`history`)."""
        return self._loop.run(self._core.tasks(job))

    def results(self, job: str, first: int = 0) -> Iterator[tuple[int, Any]]:
        """What the tasks have returned by now, from the task `first` on: index and value."""
        return _Stream(self._loop, self._core.results(job, first))

    def events(self, job: str) -> Iterator[Event]:
        """What happens to a job, from its start until it is over."""
        return _Stream(self._loop, self._core.events(job))

    def logs(
        self,
        job: str,
        *,
        task: int | None = None,
        stream: Literal["stdout", "stderr"] | None = None,
        follow: bool = False,
    ) -> Iterator[Log]:
        """What the tasks wrote; with `follow`, until the job is over."""
        logs = self._core.logs(job, task=task, stream=stream, follow=follow)
        return _Stream(self._loop, logs)

    def explain(self, job: str) -> dict[str, Any]:
        """Why a job's tasks wait, with figures."""
        return self._loop.run(self._core.explain(job))

    def cancel(self, job: str) -> None:
        """Cancels a job; one that is over stays as it is."""
        self._loop.run(self._core.cancel(job))

    def nodes(self) -> list[Node]:
        """Every node that the scheduler knows."""
        return self._loop.run(self._core.nodes())


def _leave(loop: _Loop, *left: AsyncGenerator[Any] | AsyncMapping) -> None:
    if loop.is_waited_for():
        for one in left:
            loop.run(one.aclose())


def _close(loop: _Loop, core: AsyncClient) -> None:
    # A collector may come by anywhere, and this thread goes with the program.
    if loop.is_waited_for():
        for stream in list(loop.streams):
            stream.close()
        loop.run(core.close())
        loop.stop()
