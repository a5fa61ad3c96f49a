"""The client and a real scheduler with a real node, which one `Client.local()` brings along."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import signal
import unittest
from pathlib import Path

import live
import stint

SQUARE = """
import stint
item = stint.item()
if item == "fail":
    raise RuntimeError("cannot square a word")
if item == "wrong":
    with open(stint.output("result.json"), "w") as file:
        file.write("no JSON")
elif item is not None:
    stint.progress(1.0, "done")
    stint.result({"square": item ** 2, "task": stint.task_index(), "of": stint.task_count()})
"""
SAY = """
import sys
print("to stdout", sys.argv[1:])
print("to stderr", file=sys.stderr)
"""
WAIT = """
import time
print("waiting", flush=True)
time.sleep(600)
"""
SLEEP = """
import stint, time
time.sleep(stint.item())
stint.result(stint.item())
"""
NEEDS = """
import stint, leaf, branch
stint.result([leaf.NAME, branch.NAME, __import__("importlib.metadata").metadata.version("leaf")])
"""


def root(number: float) -> float:
    return math.sqrt(number)


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        live.add_kit()
        place = live.temporary()
        cls.addClassCleanup(place.cleanup)
        cls.place = Path(place.name)
        cls.scripts = live.scripts(
            place.name, square=SQUARE, say=SAY, wait=WAIT, sleep=SLEEP, needs=NEEDS,
            missing="import torch\n",
        )
        cls.client = stint.Client.local(binary=live.BINARY)
        cls.addClassCleanup(cls.client.close)

    def test_results_come_in_the_order_of_the_items(self) -> None:
        told: list[tuple[int, int]] = []
        mapping = self.client.map(
            self.scripts["square"],
            [3, 1, None, 2],
            progress=lambda done, total: told.append((done, total)),
        )
        self.assertEqual(len(mapping), 4)
        results = list(mapping)
        self.assertEqual([one and one["square"] for one in results], [9, 1, None, 4])
        self.assertEqual(results[3]["task"], 3)
        self.assertEqual(told[-1], (4, 4))

    def test_results_come_as_they_do_with_the_index_of_their_item(self) -> None:
        completed = dict(self.client.as_completed(root, [4, 9, 16], name="roots"))
        self.assertEqual(completed, {0: 2.0, 1: 3.0, 2: 4.0})

    def test_a_task_may_work_on_several_items(self) -> None:
        mapping = self.client.map(root, [0, 1, 4, 9, 16], batch=2)
        self.assertEqual((len(mapping), self.client.job(mapping.job)["tasks"]["total"]), (5, 3))
        self.assertEqual(list(mapping), [0.0, 1.0, 2.0, 3.0, 4.0])
        values = list(self.client.map(root, [1, -1, 4], batch=2, return_failures=True))
        self.assertEqual(([one.item for one in values[:2]], values[2]), ([[1, -1]] * 2, 2.0))
        with self.assertRaises(stint.InputError):
            self.client.map(self.scripts["square"], [1], batch=2)

    def test_without_items_there_is_no_job(self) -> None:
        mapping = self.client.map(self.scripts["square"], [])
        self.assertEqual((mapping.job, list(mapping)), (None, []))

    def test_a_task_that_fails_raises_its_own_traceback_and_cancels_the_rest(self) -> None:
        mapping = self.client.map(self.scripts["square"], [1, "fail", 3])
        self.assertEqual(next(mapping)["square"], 1)
        with self.assertRaises(stint.TaskFailed) as caught:
            next(mapping)
        failed = caught.exception
        self.assertEqual((failed.task, failed.item), (1, "fail"))
        self.assertEqual((failed.reason, failed.code), ("exited", 1))
        self.assertIn("RuntimeError: cannot square a word", str(failed))
        self.assertIn("line 5, in <module>", failed.traceback)
        self.assertIn("Traceback", failed.__notes__[-1])

    def test_failures_may_stand_among_the_results(self) -> None:
        items = ["fail", 2, "wrong"]
        results = list(self.client.map(self.scripts["square"], items, return_failures=True))
        self.assertEqual(results[1]["square"], 4)
        self.assertEqual((results[0].reason, results[2].reason), ("exited", "output-refused"))
        self.assertIn("one JSON value", results[2].hint)

    def test_what_is_left_early_is_cancelled(self) -> None:
        with self.client.map(self.scripts["wait"], [1, 2]) as mapping:
            job = mapping.job
        self.assertEqual(self.client.wait(job, check=False)["state"], "cancelled")
        with self.assertRaises(stint.JobCancelled):
            self.client.wait(job)
        for seconds in self.client.map(self.scripts["sleep"], [0, 600]):
            self.assertEqual(seconds, 0)
            break
        [job] = [one["id"] for one in self.client.jobs(limit=1)]
        self.assertEqual(self.client.wait(job, check=False)["state"], "cancelled")

    def test_a_wait_that_is_interrupted_or_takes_too_long_leaves_the_job_alone(self) -> None:
        job = self.client.submit(self.scripts["wait"])
        with self.assertRaises(stint.WaitTimeout):
            self.client.wait(job, timeout=0.2)
        self.assertNotIn(self.client.job(job)["state"], ("cancelled", "failed"))
        follower = self.client.logs(job, follow=True)
        self.assertEqual(next(follower).text, "waiting\n")
        self.client.cancel(job)
        self.assertEqual(list(follower), [])
        self.assertEqual(self.client.explain(job)["id"], job)

    def test_ctrl_c_ends_a_wait_at_once_and_cancels_what_map_began(self) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupted)
        try:
            mapping = self.client.map(self.scripts["wait"], [1])
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with self.assertRaises(KeyboardInterrupt):
                next(mapping)
            self.assertEqual(self.client.wait(mapping.job, check=False)["state"], "cancelled")
            job = self.client.submit(self.scripts["wait"])
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with self.assertRaises(KeyboardInterrupt):
                self.client.wait(job)
            self.assertIn(self.client.job(job)["state"], ("queued", "running"))
            self.client.cancel(job)
        finally:
            signal.signal(signal.SIGALRM, before)

    def test_a_job_is_submitted_waited_for_and_looked_at(self) -> None:
        job = self.client.submit(self.scripts["say"], key="once", args=["--fast"], tasks=2)
        again = self.client.submit(self.scripts["say"], key="once", args=["--fast"], tasks=2)
        self.assertEqual(job, again)
        view = self.client.wait(job, timeout=60)
        self.assertEqual((view["state"], view["tasks"]["succeeded"]), ("succeeded", 2))
        texts = {log.text for log in self.client.logs(job, stream="stdout")}
        self.assertEqual(texts, {"to stdout ['--fast']\n"})
        [log] = self.client.logs(job, task=1, stream="stderr")
        self.assertEqual((log.task, log.text), (1, "to stderr\n"))
        kinds = [event["what"]["kind"] for event in self.client.events(job)]
        self.assertEqual((kinds[0], kinds[-1]), ("submitted", "done"))
        self.assertIn(job, [one["id"] for one in self.client.jobs(limit=100)])
        self.assertEqual(list(self.client.results(job)), [])
        self.assertEqual(self.client.tasks(job)["runs"][0]["state"], "succeeded")
        self.assertEqual(self.client.nodes()[0]["state"], "ready")

    def test_what_is_missing_is_named_with_what_to_do(self) -> None:
        job = self.client.submit(self.scripts["missing"])
        with self.assertRaises(stint.TaskFailed) as caught:
            self.client.wait(job)
        self.assertIn("with_=['torch']", caught.exception.hint or "")

    def test_refusals_are_typed(self) -> None:
        with self.assertRaises(stint.NotFound) as caught:
            self.client.job("default.99999")
        self.assertEqual(caught.exception.kind, "urn:stint:no-job")
        with stint.Client(self.client.server, token="wrong") as stranger:
            with self.assertRaises(stint.Unauthorized):
                stranger.nodes()
        with self.assertRaises(stint.Problem) as refused:
            self.client.submit(self.scripts["say"], memory="lots")
        self.assertIn("memory", str(refused.exception))
        with self.assertRaises(stint.Problem) as refused:
            self.client.submit(self.scripts["say"], memroy="1Gi")
        self.assertIn("did you mean `memory`", str(refused.exception))
        with self.assertRaises(stint.InputError):
            self.client.submit(self.scripts["say"], kit="snake")

    def test_packages_come_along_with_what_they_need(self) -> None:
        wheels = self.place / "wheels"
        wheels.mkdir()
        live.wheel(wheels, "branch", "2.0", {"branch.py": "NAME = 'branch'\n"})
        leaf = live.wheel(
            self.place, "leaf", "1.0", {"leaf/__init__.py": "NAME = 'leaf'\n"},
            needs=("branch>=1", "numpy", "typing-extensions; python_version < '3.9'"),
        )
        with live.offline(wheels):
            job = self.client.submit(self.scripts["needs"], with_=[str(leaf)])
        self.client.wait(job)
        self.assertEqual(list(self.client.results(job)), [(0, ["leaf", "branch", "1.0"])])

    def test_the_same_is_there_for_those_who_await(self) -> None:
        async def main() -> list[float]:
            core = self.client._core
            async with stint.AsyncClient(core.server, token=core._local.token) as client:
                return [value async for value in client.map(root, [1, 4])]

        self.assertEqual(asyncio.run(main()), [1.0, 2.0])

    def test_a_bar_is_drawn_where_it_is_asked_for(self) -> None:
        drawn = io.StringIO()
        with contextlib.redirect_stderr(drawn):
            list(self.client.map(self.scripts["square"], [1], progress=True))
        self.assertIn("square.py [########################] 1/1", drawn.getvalue())


class Gone(unittest.TestCase):
    """What a `Client.local` leaves behind."""

    def test_what_it_started_is_stopped(self) -> None:
        client = stint.Client.local(binary=live.BINARY)
        server = client.server
        client.close()
        with stint.Client(server, patience=0.1) as stranger:
            with self.assertRaises(stint.Unreachable):
                stranger.nodes()

    def test_a_binary_that_is_not_there_or_no_stint_is_named(self) -> None:
        with self.assertRaises(stint.InputError):
            stint.Client.local(binary="/nowhere/stint")
        with self.assertRaises(stint.StintError) as caught:
            stint.Client.local(binary="/bin/false")
        self.assertIn("/bin/false", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
