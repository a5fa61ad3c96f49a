"""The client: submits jobs, waits for them, and reads what became of them.

All of it is here, awaited; `stint.Client` does the same for those who do not await.

    async with stint.AsyncClient("http://127.0.0.1:7070") as client:
        async for score in client.map("score.py", [{"rate": 0.1}, {"rate": 0.2}]):
            print(score)
"""

from __future__ import annotations

import base64
import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, cast

from . import items as item_files
from . import vendor
from .errors import InputError, JobCancelled, NotFound, TaskFailed, WaitTimeout
from .job import Draft, File, JobFields, draft
from .local import Local
from .mapping import AsyncMapping, Progress
from .views import Event, Job, Log, Node
from .wire import Wire

if TYPE_CHECKING:
    from typing import Self, Unpack

import asyncio

#: How long a scheduler that went away is waited for: it restarts in seconds.
PATIENCE_SECONDS = 60.0
#: So long is what was seen there not asked for again: the scheduler keeps what nobody needs
#: for an hour and more after it was asked for.
SENT_SECONDS = 1800.0
#: Most bytes of standard error that are looked through for a traceback.
STDERR_BYTES_MAX = 64 << 10
#: A log may come after the news that its task ended: so often is it asked for, so far apart.
LOG_TRIES, LOG_SECONDS = 4, 0.25

#: A program: the path of a module (x.wasm), a script (x.py) or a job file (job.toml).
Program = str | os.PathLike[str]


class AsyncClient:
    """A client of one scheduler; belongs to the event loop that it is used in.

    :param server: its address; STINT_SERVER when absent.
    :param token: what it asks for, or `token_file` a file with it; STINT_TOKEN_FILE and
        STINT_TOKEN when absent.
    :param patience: seconds for which a scheduler that does not answer is asked again.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        server = server or os.environ.get("STINT_SERVER")
        if not server:
            raise InputError(
                "no scheduler is named",
                "give its address, or set STINT_SERVER; Client.local() brings one along",
            )
        if token is None:
            token = _token(token_file)
        self._wire = Wire(server, token, patience)
        self._local: Local | None = None
        #: What the scheduler was seen to have, and when: nothing is sent twice.
        self._sent: dict[tuple[str, str], float] = {}

    @classmethod
    async def local(cls, *, binary: str | None = None, nodes: int = 1) -> Self:
        """A client of a scheduler and nodes of its own, on this machine, until it is closed.

        They have the kits of this user (`stint kit add python`), and jobs may read and
        write every file that this user may.

        :param binary: the `stint` to run; STINT_BINARY, else the one of PATH, when absent.
        """
        local = await asyncio.to_thread(Local.start, binary, nodes)
        client = cls(local.server, token=local.token)
        client._local = local
        return client

    @property
    def server(self) -> str:
        """The scheduler's address."""
        return self._wire.server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections, and stops what `local` started."""
        await self._wire.close()
        if self._local is not None:
            await asyncio.to_thread(self._local.stop)

    async def submit(
        self, program: Program, *, key: str | None = None, **fields: Unpack[JobFields]
    ) -> str:
        """Submits a job and returns its id; the job is on the scheduler's disk by then.

        :param program: a module (x.wasm), a script (x.py) or a job file (job.toml).
        :param key: makes the submit safe to repeat: the same key is the same job.
        :param fields: named as in a job file, and over what one says.
        """
        return await self.submit_draft(draft(program, fields), key)

    async def submit_draft(self, job: Draft, key: str | None = None) -> str:
        """Submits a job that was made before."""
        spec = dict(job.spec)
        if job.is_module:
            spec["module"] = await self._push(job)
        else:
            spec.update(await self._with_kit(job))
        headers = {"idempotency-key": key or uuid.uuid4().hex}
        answer = await self._wire.ask("POST", "/v1/jobs", body=spec, headers=headers)
        return str(answer["id"])

    async def _push(self, job: Draft) -> str:
        digest = job.program.digest()
        of = {"namespace": job.namespace}
        if not self._is_sent((job.namespace, digest)):
            try:
                await self._wire.ask("GET", f"/v1/modules/{digest}", params=of)
            except NotFound:
                await self._wire.ask(
                    "PUT",
                    "/v1/modules",
                    params={**of, "digest": digest},
                    content=job.program.read(),
                    headers={"content-type": "application/wasm"},
                )
            self._sent[job.namespace, digest] = time.monotonic()
        return digest

    def _is_sent(self, what: tuple[str, str]) -> bool:
        return time.monotonic() - self._sent.get(what, -SENT_SECONDS) < SENT_SECONDS

    async def _with_kit(self, job: Draft) -> dict[str, Any]:
        """Sends a script and what lies beside it; what the job says of them."""
        script = job.program
        script.digest()  # Before anything is sent: it is there.
        kit = await self._kit(job)
        spec: dict[str, Any] = {"kit": kit["name"]}
        memory = kit["spec"].get("memory")
        if memory is not None and "memory" not in job.spec:
            spec["memory"] = memory
        files = list(job.files)
        if job.packages:
            available = kit["spec"].get("available", {})
            files += await asyncio.to_thread(vendor.collect, job.packages, available)
        sent = [{"name": file.name, "digest": await self._put(file)} for file in [script, *files]]
        spec["script"] = {**sent[0], "files": sent[1:]}
        return spec

    async def _kit(self, job: Draft) -> dict[str, Any]:
        name, suffix = job.spec.get("kit"), job.program.name.rpartition(".")[2]
        params = {"namespace": job.namespace}
        for kit in (await self._wire.ask("GET", "/v1/kits", params=params))["kits"]:
            if kit["name"] == name or (name is None and kit["spec"].get("suffix") == suffix):
                return cast("dict[str, Any]", kit)
        what = f"there is no kit `{name}`" if name else f"no kit runs `.{suffix}` scripts"
        raise InputError(
            f"{what} in namespace `{job.namespace}`",
            "`stint kit add python` adds the one for Python, once for all jobs",
        )

    async def _put(self, file: File) -> str:
        digest = file.digest()
        if not self._is_sent(("", digest)):
            try:
                await self._wire.ask("GET", f"/v1/files/{digest}")
            except NotFound:
                await self._wire.ask(
                    "PUT",
                    "/v1/files",
                    params={"digest": digest},
                    content=file.read(),
                    headers={"content-type": "application/octet-stream"},
                )
            self._sent["", digest] = time.monotonic()
        return digest

    def map(
        self,
        program: Program | Callable[[Any], Any],
        items: Iterable[Any],
        /,
        *,
        batch: int = 1,
        progress: Progress = None,
        **fields: Unpack[JobFields],
    ) -> AsyncMapping:
        """Runs a task for each item; an async iterator of their results, in order.

        The script reads its item with `stint.item()` and returns with `stint.result()`. A
        plain function is sent as its source. The job is submitted by the first `await`, or by
        `start`; the first task that fails raises TaskFailed, and the rest is cancelled, as
        it is when the iterator is left early (`aclose`).

        :param batch: how many items a task of a function works on: to start one takes
            a tenth of a second, to call a function takes what it takes.
        """
        for name in ("tasks", "only"):
            if name in fields:
                raise InputError(f"`{name}` is not for map: it makes one task for each item")
        source: Any = program
        if callable(program) and not isinstance(program, os.PathLike):
            source = item_files.script(program, batched=batch > 1)
        elif batch > 1:
            raise InputError("batch is for functions", "give a script lists as its items")
        if batch > 1:
            items = item_files.batches(items, batch)
        job = draft(source, fields)
        if job.is_module:
            raise InputError(
                "map runs a script or a function, which reads its item with stint.item()",
                "a module takes args=…, env=… or inputs=…, and its task's index: submit it",
            )
        files, listed = item_files.pack(items)
        job.files += files
        job.spec["tasks"] = len(listed)
        return AsyncMapping(self, job, listed, progress, is_batched=batch > 1)

    async def wait(self, job: str, *, timeout: float | None = None, check: bool = True) -> Job:
        """Waits until a job is over, and returns it.

        :param timeout: seconds after which WaitTimeout is raised; the job goes on.
        :param check: whether TaskFailed or JobCancelled is raised for one that did not succeed.
        """
        try:
            async with asyncio.timeout(timeout):
                async with aclosing(self.events(job)) as events:
                    async for _ in events:
                        pass
                view = await self.job(job)
        except TimeoutError:
            raise WaitTimeout(f"{job} is not over after {timeout} seconds") from None
        if check and view["state"] == "cancelled":
            raise JobCancelled(job)
        if check and view["state"] == "failed":
            failure = view.get("first_failure")
            if failure is None:
                raise TaskFailed(job, 0, {"reason": "unknown"})
            raise TaskFailed(
                job, failure["task"], failure["outcome"], failure.get("stderr_tail") or ""
            )
        return view

    async def job(self, job: str) -> Job:
        """A job, as it is now."""
        return cast("Job", await self._wire.ask("GET", f"/v1/jobs/{job}"))

    async def jobs(
        self, *, namespace: str | None = None, limit: int | None = None
    ) -> AsyncGenerator[Job]:
        """Jobs, newest first; all of them, or the first `limit`."""
        params = {"limit": str(min(limit or 1000, 1000))}
        if namespace is not None:
            params["namespace"] = namespace
        seen = 0
        while True:
            page = await self._wire.ask("GET", "/v1/jobs", params=params)
            for job in page["jobs"]:
                if limit is not None and seen >= limit:
                    return
                seen += 1
                yield job
            if "next" not in page:
                return
            params["cursor"] = page["next"]

    async def tasks(self, job: str) -> dict[str, Any]:
        """The states of a job's tasks (`runs`), and the attempts that ended (`history`)."""
        path = f"/v1/jobs/{job}/tasks"
        view = cast("dict[str, Any]", await self._wire.ask("GET", path))
        while (start := view.pop("next", None)) is not None:
            params = {"from": str(start), "history": "0"}
            page = await self._wire.ask("GET", path, params=params)
            view["runs"] += page["runs"]
            if "next" in page:
                view["next"] = page["next"]
        return view

    async def results(self, job: str, first: int = 0) -> AsyncGenerator[tuple[int, Any]]:
        """What the tasks have returned by now, from the task `first` on: index and value."""
        async with aclosing(self._wire.results(f"/v1/jobs/{job}/results", first)) as lines:
            async for line in lines:
                yield line["task"], line["result"]

    async def events(self, job: str) -> AsyncGenerator[Event]:
        """What happens to a job, from its start until it is over."""
        async with aclosing(self._wire.events(f"/v1/jobs/{job}/events", {})) as events:
            async for event in events:
                yield cast("Event", event)

    async def logs(
        self,
        job: str,
        *,
        task: int | None = None,
        stream: Literal["stdout", "stderr"] | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[Log]:
        """What the tasks wrote; with `follow`, until the job is over."""
        params = {"follow": str(follow).lower()}
        if task is not None:
            params["task"] = str(task)
        if stream is not None:
            params["stream"] = stream
        #: Said again after a cut: what was seen of each attempt's streams.
        seen: dict[tuple[str, str], int] = {}
        async with aclosing(self._wire.events(f"/v1/jobs/{job}/logs", params)) as chunks:
            async for chunk in chunks:
                attempt, data = chunk["attempt"], base64.b64decode(chunk["data"])
                known = seen.get((attempt, chunk["stream"]), 0)
                new = data[max(known - chunk["offset"], 0) :]
                seen[attempt, chunk["stream"]] = max(known, chunk["offset"] + len(data))
                if new:
                    index = int(attempt.rsplit(".t", 1)[1].partition(".")[0])
                    yield Log(index, attempt, chunk["stream"], new)

    async def stderr_tail(self, job: str, task: int) -> str:
        """The end of what the last attempt of a task wrote to standard error."""
        tail, last = b"", ""
        for _ in range(LOG_TRIES):
            async with aclosing(self.logs(job, task=task, stream="stderr")) as logs:
                async for log in logs:
                    tail = tail if log.attempt == last else b""
                    last = log.attempt
                    tail = (tail + log.data)[-STDERR_BYTES_MAX:]
            if tail:
                break
            await asyncio.sleep(LOG_SECONDS)
        return tail.decode(errors="replace")

    async def explain(self, job: str) -> dict[str, Any]:
        """Why a job's tasks wait, with figures."""
        return cast("dict[str, Any]", await self._wire.ask("GET", f"/v1/jobs/{job}/explain"))

    async def cancel(self, job: str) -> None:
        """Cancels a job; one that is over stays as it is."""
        await self._wire.ask("POST", f"/v1/jobs/{job}:cancel")

    async def nodes(self) -> list[Node]:
        """Every node that the scheduler knows."""
        return cast("list[Node]", (await self._wire.ask("GET", "/v1/nodes"))["nodes"])


def _token(path: str | os.PathLike[str] | None) -> str | None:
    """The token: of the file, then of the environment."""
    path = path or os.environ.get("STINT_TOKEN_FILE")
    if not path:
        return os.environ.get("STINT_TOKEN") or None
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the token file `{path}`: {error}") from None
    if not token or any(sign.isspace() for sign in token):
        raise InputError(f"`{path}` does not hold a token", "it holds one line: the token")
    return token
