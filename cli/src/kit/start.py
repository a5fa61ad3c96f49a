"""Runs a script as Python itself would: what the Python kit enters it by.

The interpreter of the kit looks for modules in its library alone. This has it look beside
the script first, as Python does, then into the packages that came with it, and last for
what is beside this file. It then hands over to the interpreter's own way to run a script.
"""

import linecache
import os
import sys

import _reactor

PROGRAM = "/usr/local/bin/python.wasm"
#: Where the script is, and what came with it.
SCRIPTS = "/job"
#: Set aside for the telling of a failure: a traceback takes memory, and one that finds
#: none but what it asks for anew would look like a program that went on.
RESERVE_BYTES = 2 << 20


def run():
    """Runs the script that the arguments name; ends with its exit code."""
    # It holds the line that called this, which no traceback of the script is to show.
    linecache._interactive_cache.clear()
    packages = sorted(name for name in os.listdir(SCRIPTS) if name.endswith(".whl"))
    sys.path[:0] = [SCRIPTS, *(f"{SCRIPTS}/{name}" for name in packages)]
    reserve, show = bytearray(RESERVE_BYTES), sys.excepthook

    def tell(*what):
        reserve.clear()
        show(*what)

    sys.excepthook = tell
    sys.exit(_reactor.run([PROGRAM, *sys.argv[1:]], dict(os.environ)))
