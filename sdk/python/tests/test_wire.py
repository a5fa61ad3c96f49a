"""What the client does where a scheduler is slow, gone, restarted, or something else."""

from __future__ import annotations

import contextlib
import os
import tempfile
import unittest
from pathlib import Path

import stint
from fake import Answer, Fake, events

BUSY = {"type": "urn:stint:busy", "title": "Busy", "status": 503, "detail": "it is busy"}


class Wire(unittest.TestCase):
    def client(self, fake: Fake, patience: float = 5.0) -> stint.Client:
        self.addCleanup(fake.close)
        client = stint.Client(fake.url, token="t", patience=patience)
        self.addCleanup(client.close)
        return client

    def module(self) -> str:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        path = Path(place.name) / "x.wasm"
        path.write_bytes(b"\0asm\1\0\0\0")
        return str(path)

    def test_a_submit_that_is_repeated_bears_the_same_key(self) -> None:
        tries = []

        def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
            if path == "/v1/jobs":
                tries.append((headers["idempotency-key"], body))
                return (503, BUSY) if len(tries) < 3 else (201, {"id": "default.1"})
            return (404, {"detail": "no"}) if method == "GET" else (201, {})

        client = self.client(Fake(answer))
        self.assertEqual(client.submit(self.module()), "default.1")
        self.assertEqual(len(tries), 3)
        self.assertEqual(len(set(tries)), 1)

    def test_what_is_there_is_not_sent_again(self) -> None:
        fake = Fake(lambda method, path, headers, body: (200, {"id": "default.1"}))
        client = self.client(fake)
        module = self.module()
        client.submit(module)
        client.submit(module)
        self.assertEqual([one[0] for one in fake.asked], ["GET", "POST", "POST"])
        self.assertEqual(fake.asked[0][2]["authorization"], "Bearer t")

    def test_a_stream_that_is_cut_goes_on_where_it_was(self) -> None:
        def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
            if headers.get("last-event-id") == "1":
                return 200, events({"kind": "done", "state": "succeeded"}, first=2)
            return 200, events({"kind": "submitted"}, end=False)

        seen = [event["seq"] for event in self.client(Fake(answer)).events("default.1")]
        self.assertEqual(seen, [1, 2])

    def test_results_go_on_behind_the_last_line_that_came(self) -> None:
        def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
            if path.endswith("from=1"):
                return 200, b'{"task": 1, "result": "b"}\n'
            return 200, b'{"task": 0, "result": "a"}\n{"task": 1, "res'

        results = list(self.client(Fake(answer)).results("default.1"))
        self.assertEqual(results, [(0, "a"), (1, "b")])

    def test_a_log_that_is_said_again_is_read_once(self) -> None:
        chunk = (
            b'id: 1\ndata: {"attempt": "team.7.t3.g2.1", "stream": "stdout", "offset": 0, '
            b'"data": "aGVsbG8="}\n\n'
        )
        again = chunk.replace(b"id: 1", b"id: 2")
        fake = Fake(lambda *_: (200, chunk + again + b"event: end\ndata: {}\n\n"))
        [log] = self.client(fake).logs("team.7")
        self.assertEqual((log.task, log.text, log.stream), (3, "hello", "stdout"))

    def test_a_scheduler_that_goes_away_for_good_ends_a_wait(self) -> None:
        gone = contextlib.ExitStack()

        def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
            return 200, events({"kind": "submitted"}, end=False)

        fake = Fake(answer)
        client = stint.Client(fake.url, patience=0.5)
        gone.callback(client.close)
        with gone:
            stream = client.events("default.1")
            self.assertEqual(next(iter(stream))["what"]["kind"], "submitted")
            fake.close()
            with self.assertRaises(stint.Unreachable) as caught:
                client.wait("default.1")
        self.assertIn("does not answer", str(caught.exception))
        self.assertIn("stint serve", caught.exception.hint or "")

    def test_a_wrong_address_is_told_soon(self) -> None:
        for server, error in [
            ("http://127.0.0.1:9", stint.Unreachable),
            ("nonsense", stint.StintError),
            ("http://[", stint.StintError),
        ]:
            with self.assertRaises(error, msg=server):
                with stint.Client(server) as client:
                    client.nodes()

    def test_an_answer_of_something_else_is_no_answer(self) -> None:
        client = self.client(Fake(lambda *_: (418, b"<html>teapot</html>")))
        with self.assertRaises(stint.Problem) as caught:
            client.nodes()
        self.assertEqual(caught.exception.status, 418)
        self.assertIn("no scheduler", str(caught.exception))

    def test_a_refusal_is_told_with_what_to_do(self) -> None:
        quota = {
            "type": "urn:stint:quota",
            "title": "The quota does not allow it",
            "status": 403,
            "detail": "namespace a has 3 of 3 jobs",
            "hint": "wait",
        }
        client = self.client(Fake(lambda *_: (403, quota)))
        with self.assertRaises(stint.QuotaExceeded) as caught:
            client.nodes()
        refused = caught.exception
        self.assertEqual((refused.title, refused.hint), (quota["title"], "wait"))
        self.assertEqual(str(refused), quota["detail"])

    def test_a_client_needs_a_server_and_a_token_that_can_be_read(self) -> None:
        before = os.environ.pop("STINT_SERVER", None)
        try:
            with self.assertRaises(stint.InputError):
                stint.Client()
        finally:
            if before is not None:
                os.environ["STINT_SERVER"] = before
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("two words")
            file.flush()
            for path in (file.name, "/nowhere"):
                with self.assertRaises(stint.InputError):
                    stint.Client("http://127.0.0.1:9", token_file=path)


if __name__ == "__main__":
    unittest.main()
