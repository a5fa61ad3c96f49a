"""What is made of a program and its fields before anything is sent, and what is refused."""

from __future__ import annotations

import math
import os
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import stint
from stint import items
from stint.job import draft

FACTOR = 3


def area(radius: float) -> float:
    return math.pi * radius**2


def scaled(number: int) -> int:
    return number * FACTOR


def endless(number: int) -> Iterator[int]:
    yield number


class Submitting(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name).resolve()

    def refused(self, call: Any, *args: Any, **fields: Any) -> stint.InputError:
        with self.assertRaises(stint.InputError) as caught:
            call(*args, **fields)
        return caught.exception

    def test_a_job_file_is_read_and_fields_win_over_it(self) -> None:
        (self.place / "a.py").write_text("")
        (self.place / "table.csv").write_text("")
        job = self.place / "job.toml"
        job.write_text(
            'script = "a.py"\ntasks = 3\nmemory = "1Gi"\nwith = ["x==1"]\noutput = "out"\n'
            '[[inputs]]\nname = "t"\nurl = "table.csv"\n'
        )
        made = draft(job, {"tasks": 4})
        self.assertEqual((made.spec["tasks"], made.spec["memory"]), (4, "1Gi"))
        self.assertEqual(made.packages, ["x==1"])
        self.assertEqual(made.spec["output"], f"file://{self.place}/out")
        self.assertEqual(made.spec["inputs"], [{"name": "t", "url": f"file://{self.place}/table.csv"}])
        self.assertEqual(made.program.name, "a.py")

    def test_a_job_file_is_merged_as_the_command_line_merges_it(self) -> None:
        (self.place / "a.py").write_text("")
        (self.place / "table.csv").write_text("")
        here = Path.cwd()
        job = self.place / "job.toml"
        job.write_text(
            'script = "a.py"\nafter = ["default.1"]\nwith = ["x.whl"]\noutput = "out"\n'
            '[env]\nA = "1"\nB = "1"\n[[inputs]]\nname = "t"\nurl = "table.csv"\n'
        )
        fields = {
            "after": ["default.2"],
            "with_": ["y.whl"],
            "output": "out",
            "env": {"B": "2"},
            "inputs": {"u": "https://example.org/u"},
        }
        made = draft(job, fields)
        self.assertEqual(made.spec["after"], ["default.1", "default.2"])
        self.assertEqual(made.packages, [str(self.place / "x.whl"), "y.whl"])
        self.assertEqual(made.spec["output"], f"file://{here}/out")
        self.assertEqual(made.spec["env"], {"A": "1", "B": "2"})
        self.assertEqual([one["name"] for one in made.spec["inputs"]], ["t", "u"])

    def test_inputs_are_paths_here_or_urls(self) -> None:
        url = "https://example.org/x.csv"
        made = draft("x.py", {"inputs": {"a": url, "b": self.place}})
        self.assertEqual(made.spec["inputs"][0], {"name": "a", "url": url})
        self.assertEqual(made.spec["inputs"][1]["url"], f"file://{self.place}")
        made = draft("x.py", {"inputs": {"many": self.place / "a b*.csv"}})
        self.assertEqual(made.spec["inputs"][0]["url"], f"file://{self.place}/a%20b*.csv")
        refused = self.refused(draft, "x.py", {"inputs": {"a": "/nowhere/x.csv"}})
        self.assertIn("`a`", str(refused))

    def test_a_list_that_is_written_as_a_text_is_refused(self) -> None:
        self.assertIn("list", str(self.refused(draft, "x.py", {"args": "--fast"})))
        self.assertIn("list", str(self.refused(draft, "x.py", {"with_": "humanize"})))

    def test_a_job_file_that_is_none_is_refused(self) -> None:
        job = self.place / "job.toml"
        for text in ("tasks = ", "tasks = 3", "\xff"):
            job.write_text(text, encoding="latin-1")
            self.refused(draft, job, {})
        self.refused(draft, self.place / "no.toml", {})

    def test_what_a_module_cannot_have_is_refused(self) -> None:
        self.refused(draft, "x.wasm", {"with_": ["humanize"]})
        client = stint.Client("http://127.0.0.1:9")
        self.addCleanup(client.close)
        self.refused(client.map, "x.wasm", [1])
        self.refused(client.map, "x.py", [1], tasks=3)
        self.refused(client.submit, self.place / "no.py")

    def test_items_are_what_json_can_hold(self) -> None:
        files, listed = items.pack({"n": n} for n in range(3))
        self.assertEqual(listed[2], {"n": 2})
        self.assertEqual(files[0].read(), b'{"n": 0}\n{"n": 1}\n{"n": 2}\n')
        self.assertEqual(int.from_bytes(files[1].read()[8:16], "little"), 9)
        for wrong in ([1, object()], [float("nan")], [lambda: 1]):
            refused = self.refused(items.pack, wrong)
            self.assertIn("item", str(refused))

    def test_an_item_is_read_by_its_task_with_and_without_an_index(self) -> None:
        files, _ = items.pack(["a", "b", "c"])
        (self.place / stint.ITEMS).write_bytes(files[0].read())
        os.environ["STINT_ITEMS"] = str(self.place / stint.ITEMS)
        os.environ["STINT_TASK_INDEX"] = "2"
        try:
            self.assertEqual(stint.item(), "c")
            (self.place / stint.INDEX).write_bytes(files[1].read())
            self.assertEqual(stint.item(), "c")
            os.environ["STINT_TASK_INDEX"] = "3"
            with self.assertRaises(stint.NoItem):
                stint.item()
            # Any file will do; an index is that of one name alone.
            (self.place / "mine.jsonl").write_text('"d"\n"e"\n')
            os.environ["STINT_ITEMS"] = str(self.place / "mine.jsonl")
            os.environ["STINT_TASK_INDEX"] = "1"
            self.assertEqual(stint.item(), "e")
        finally:
            del os.environ["STINT_ITEMS"], os.environ["STINT_TASK_INDEX"]
        with self.assertRaises(stint.NoItem):
            stint.item()

    def test_a_function_is_sent_as_its_source_with_the_modules_around_it(self) -> None:
        text = items.script(area).read().decode()
        self.assertIn("import math as math\n", text)
        self.assertIn("_stint.result(area(_stint.item()))", text)
        compile(text, "area.py", "exec")

    def test_a_function_that_is_more_than_its_source_is_refused_with_the_reason(self) -> None:
        closed = 3

        def closes(number: int) -> int:
            return number * closed

        def changes(number: int) -> int:
            global FACTOR
            FACTOR = number
            return number

        async def awaits(number: int) -> int:
            return number

        for function, why in [
            (closes, "closes over closed"),
            (scaled, "uses `FACTOR`"),
            (changes, "changes FACTOR"),
            (awaits, "awaits or yields"),
            (endless, "awaits or yields"),
            (lambda number: number, "`def`"),
            (len, "`def`"),
        ]:
            self.assertIn(why, str(self.refused(items.script, function)))


class Author(unittest.TestCase):
    """The functions of a task, natively."""

    def test_without_variables_nothing_is_said_or_saved(self) -> None:
        self.assertEqual((stint.task_index(), stint.task_count(), stint.try_number()), (0, 1, 1))
        stint.progress(0.5, "half")
        stint.metric("loss", 0.1)
        stint.checkpoint.save("x")
        self.assertIsNone(stint.checkpoint.load())
        with self.assertRaises(stint.NoInput) as caught:
            stint.input("log")
        self.assertIn("--input log=", str(caught.exception))

    def test_with_variables_they_are_files(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            there = {
                "STINT_EVENTS": f"{place}/events",
                "STINT_OUT": place,
                "STINT_CHECKPOINT": f"{place}/checkpoint",
            }
            os.environ.update(there)
            try:
                stint.progress(0.25)
                stint.metric("loss", float("nan"))
                stint.metric("loss", 1)
                stint.checkpoint.save(b"one")
                stint.checkpoint.save("two")
                self.assertEqual(stint.checkpoint.load(), b"two")
                stint.result({"a": {3, 1}})
                self.assertEqual(stint.output("x"), f"{place}/x")
            finally:
                for name in there:
                    del os.environ[name]
            said = Path(place, "events").read_text()
            self.assertEqual(Path(place, "result.json").read_text(), '{"a": [1, 3]}')
        expected = '{"progress": 0.25, "message": ""}\n{"metric": "loss", "value": 1}\n'
        self.assertEqual(said, expected)

    def test_a_result_that_cannot_be_is_refused_with_the_reason(self) -> None:
        for value, why in [
            (object(), "object is not"),
            (float("nan"), "null"),
            ("x" * stint.RESULT_BYTES_MAX, "bytes, at most"),
        ]:
            with self.assertRaises(stint.ResultError) as caught:
                stint.result(value)
            self.assertIn(why, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
