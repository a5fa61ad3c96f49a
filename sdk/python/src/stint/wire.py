"""One scheduler over HTTP: requests that are repeated where that is safe, streams that are
opened again where they were cut, refusals as typed errors.

Everything that is asked is safe to repeat: a submit bears a key, what is put bears its
digest. So whatever breaks is tried again, with growing waits, as long as patience lasts.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx

from .errors import Problem, StintError, Unreachable

#: Longest wait for a connection, and for more of an answer: a busy disk may take seconds.
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
#: A stream is silent for 15 seconds at most; past this it is dead.
SILENCE_SECONDS = 45.0
#: First and longest wait before the same is asked again.
WAIT_SECONDS, WAIT_SECONDS_MAX = 0.1, 5.0
#: Patience with a scheduler that never answered yet: its address is wrong, more likely.
STRANGER_SECONDS = 2.0
#: A stream that lasted as long was well: what cuts it then is a new failure.
LASTED_SECONDS = 5.0
#: Answers after which the same may be asked again: busy, stopping, held up.
AGAIN = frozenset({408, 502, 503, 504})
#: Most bytes of a line of a stream: a result of 64 KiB, a piece of log in base64.
LINE_BYTES_MAX = 16 << 20


class Patience:
    """How long failures in a row are borne. One that is answered in between begins anew."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.since: float | None = None
        self.wait = WAIT_SECONDS

    def refresh(self) -> None:
        self.since, self.wait = None, WAIT_SECONDS

    async def after(self, error: StintError) -> None:
        """Waits before the next try, or raises `error` when that is enough."""
        now = time.monotonic()
        self.since = self.since if self.since is not None else now
        if now + self.wait - self.since > self.seconds:
            raise error
        # Not all of a thousand clients at once.
        await asyncio.sleep(self.wait * random.uniform(0.5, 1.0))
        self.wait = min(self.wait * 2, WAIT_SECONDS_MAX)


class Wire:
    """A connection pool to one scheduler; belongs to one event loop."""

    def __init__(self, server: str, token: str | None, patience: float) -> None:
        self.server = server.rstrip("/")
        headers = {"user-agent": "stint-python/0.1.0"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        try:
            self._http = httpx.AsyncClient(
                base_url=self.server,
                headers=headers,
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
                # A proxy of the environment is for the web, not for a scheduler nearby.
                trust_env=False,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise self._bad_address(error) from None
        self._patience = patience
        self._met = False

    async def close(self) -> None:
        await self._http.aclose()

    def _bad_address(self, error: Exception) -> StintError:
        hint = "give it as http://HOST:PORT"
        return StintError(f"`{self.server}` is not the address of a scheduler: {error}", hint)

    def patience(self) -> Patience:
        """Patience for what is asked now."""
        return Patience(self._patience if self._met else min(self._patience, STRANGER_SECONDS))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Asks until there is an answer; its JSON, or None where it is empty."""
        sent = dict(headers or {})
        if body is not None:
            content = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        patience = self.patience()
        while True:
            try:
                response = await self._http.request(
                    method, path, params=params, content=content, headers=sent
                )
                self._met = True
                if response.is_success:
                    return response.json() if response.content else None
                raise _refusal(response)
            except Problem as problem:
                in_flight = problem.kind.endswith("idempotency-key-in-flight")
                if problem.status not in AGAIN and not in_flight:
                    raise
                await patience.after(problem)
            except httpx.HTTPError as error:
                await patience.after(self._unreachable(error))
            except (httpx.InvalidURL, ValueError) as error:
                raise self._bad_address(error) from None

    def _unreachable(self, error: Exception) -> Unreachable:
        said = str(error) or type(error).__name__
        return Unreachable(
            f"the scheduler at {self.server} does not answer: {said}",
            "is it running? `stint serve`, or `stint dev` for one on this machine; "
            "`Client.local()` brings one along",
        )

    async def lines(self, path: str, params: Mapping[str, str]) -> AsyncGenerator[str]:
        """The lines of one answer. One that breaks off raises; whoever reads goes on."""
        async with self._http.stream("GET", path, params=params) as response:
            self._met = True
            if not response.is_success:
                await response.aread()
                raise _refusal(response)
            async for line in response.aiter_lines():
                yield line

    async def results(self, path: str, first: int) -> AsyncGenerator[dict[str, Any]]:
        """Lines of results, each once: after a cut they go on behind the last."""
        patience = self.patience()
        while True:
            try:
                async for line in self.lines(path, {"from": str(first)}):
                    if line.strip():
                        result = json.loads(line)
                        patience.refresh()
                        yield result
                        first = int(result["task"]) + 1
                return
            except Problem as problem:
                if problem.status not in AGAIN:
                    raise
                await patience.after(problem)
            except (httpx.HTTPError, json.JSONDecodeError) as error:
                await patience.after(self._unreachable(error))

    async def events(self, path: str, params: Mapping[str, str]) -> AsyncGenerator[dict[str, Any]]:
        """Server-sent events until the one that ends them, opened again where they were cut."""
        patience = self.patience()
        last: str | None = None
        while True:
            opened = time.monotonic()
            try:
                headers = {} if last is None else {"last-event-id": last}
                timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
                stream = self._http.stream(
                    "GET", path, params=params, headers=headers, timeout=timeout
                )
                async with stream as response:
                    self._met = True
                    if not response.is_success:
                        await response.aread()
                        raise _refusal(response)
                    async for name, data, seen in _messages(response):
                        last = seen or last
                        patience.refresh()
                        if name == "end":
                            return
                        yield json.loads(data)
                # A scheduler that stops ends its streams in good order, without `end`.
                cut: StintError = self._unreachable(ConnectionError("it ended the stream"))
            except Problem as problem:
                if problem.status not in AGAIN:
                    raise
                cut = problem
            except (httpx.HTTPError, json.JSONDecodeError) as error:
                cut = self._unreachable(error)
            if time.monotonic() - opened > LASTED_SECONDS:
                patience.refresh()
            await patience.after(cut)


async def _messages(response: httpx.Response) -> AsyncGenerator[tuple[str, str, str | None]]:
    """Name, data and id of each event of a stream."""
    name, data, seen = "message", "", None
    async for line in response.aiter_lines():
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield name, data, seen
            name, data, seen = "message", "", None
        elif field == "event":
            name = value
        elif field == "data":
            if len(data) + len(value) > LINE_BYTES_MAX:
                raise httpx.RemoteProtocolError("an event without end")
            data = f"{data}\n{value}" if data else value
        elif field == "id":
            seen = value


def _refusal(response: httpx.Response) -> Problem:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        said = response.text[:120]
        body = {"detail": f"{response.status_code} from something that is no scheduler: {said}"}
    return Problem.of(body, response.status_code)
