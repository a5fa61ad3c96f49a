"""Runs all tests of this folder, and says the sum as the other test programs do."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path


def main() -> int:
    tests = unittest.defaultTestLoader.discover(str(Path(__file__).parent))
    ran = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, warnings="error").run(tests)
    failed = len(ran.failures) + len(ran.errors)
    verdict = "ok" if ran.wasSuccessful() else "FAILED"
    passed = ran.testsRun - failed - len(ran.skipped)
    # A line that is not full would hide it.
    print(f"\ntest result: {verdict}. {passed} passed; {failed} failed; {len(ran.skipped)} ignored")
    return 0 if ran.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
