"""Where a bar is drawn, and what it says."""

from __future__ import annotations

import sys
import types
import unittest
from typing import Any
from unittest import mock

from stint.bar import Bar


class Shown(unittest.TestCase):
    def test_a_bar_says_how_many_are_done_and_how_badly(self) -> None:
        bar = Bar("score.py", 8, None)
        bar.update(3, 0)
        bar.update(1, 1)
        self.assertEqual(bar.text(75), "score.py [############............] 4/8, 1 failed  1:15")

    def test_nobody_looks_and_nothing_is_drawn(self) -> None:
        with mock.patch.object(sys, "stderr") as stderr:
            stderr.isatty.return_value = False
            bar = Bar.of(None, "x", 2)
            bar.update(2, 0)
            bar.close()
        stderr.write.assert_not_called()

    def test_in_a_notebook_it_is_a_cells_output_that_is_replaced(self) -> None:
        drawn: list[str] = []

        class ZMQInteractiveShell:
            pass

        class Handle:
            def update(self, data: dict[str, str], raw: bool) -> None:
                drawn.append(data["text/plain"])

        def display(data: dict[str, str], raw: bool, display_id: bool) -> Handle:
            drawn.append(data["text/plain"])
            return Handle()

        notebook: Any = types.ModuleType("IPython")
        notebook.get_ipython = ZMQInteractiveShell
        notebook.display = types.SimpleNamespace(display=display)
        with mock.patch.dict(sys.modules, {"IPython": notebook}):
            bar = Bar.of(None, "x", 2)
            bar.update(1, 0)
            bar.update(1, 0)
            bar.close()
        self.assertEqual([text.split("] ")[1][:3] for text in drawn], ["1/2", "2/2"])


if __name__ == "__main__":
    unittest.main()
