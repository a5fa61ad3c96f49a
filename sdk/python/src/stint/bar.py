"""A bar where somebody looks: one line on a terminal, one cell's output in a notebook.

Neither needs a package. Who has tqdm may wrap the iterator, which knows its length.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

#: Characters of the bar itself.
WIDTH = 24
#: It is drawn at most this often, so that drawing is no work.
DRAW_SECONDS = 0.1


class Bar:
    """How many of how many tasks are done."""

    def __init__(self, name: str, total: int, draw: Callable[[str, bool], None] | None) -> None:
        self._name, self._total = name, total
        self._draw = draw
        self._done = self._failed = 0
        self._since = time.monotonic()
        self._drawn = float("-inf")
        self._is_closed = False

    @staticmethod
    def of(progress: Any, name: str, total: int) -> Bar:
        """The bar that was asked for; None asks for one where somebody looks."""
        if callable(progress):
            return _Told(total, progress)
        if progress is None:
            progress = _kernel() is not None or sys.stderr.isatty()
        if not progress or not total:
            return Bar(name, total, None)
        return Bar(name, total, _Cell() if _kernel() is not None else _line)

    def update(self, done: int, failed: int) -> None:
        """So many more are done, so many of these badly."""
        self._done += done
        self._failed += failed
        self._show(is_last=False)

    def close(self) -> None:
        """Nothing more comes."""
        if not self._is_closed:
            self._is_closed = True
            self._show(is_last=True)

    def _show(self, *, is_last: bool) -> None:
        now = time.monotonic()
        if self._draw is None or (not is_last and now - self._drawn < DRAW_SECONDS):
            return
        self._drawn = now
        self._draw(self.text(now - self._since), is_last)

    def text(self, seconds: float) -> str:
        """The line."""
        full = WIDTH * self._done // max(self._total, 1)
        failed = f", {self._failed} failed" if self._failed else ""
        minutes, rest = divmod(int(seconds), 60)
        bar = "#" * full + "." * (WIDTH - full)
        return f"{self._name} [{bar}] {self._done}/{self._total}{failed}  {minutes}:{rest:02}"


class _Told(Bar):
    """Tells somebody else."""

    def __init__(self, total: int, tell: Callable[[int, int], object]) -> None:
        super().__init__("", total, None)
        self._tell = tell

    def update(self, done: int, failed: int) -> None:
        super().update(done, failed)
        self._tell(self._done, self._total)


def _line(text: str, is_last: bool) -> None:
    # To the start of the line, and what is left of an older one is wiped out.
    sys.stderr.write(f"\r{text}\x1b[K" + ("\n" if is_last else ""))
    sys.stderr.flush()


def _kernel() -> Any:
    """The notebook that this runs in, if it is one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if type(shell).__name__ == "ZMQInteractiveShell" else None


class _Cell:
    """Output of a notebook's cell that is replaced."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, text: str, is_last: bool) -> None:
        data = {"text/plain": text}
        if self._handle is None:
            display = sys.modules["IPython"].display.display
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
