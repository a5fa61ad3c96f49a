"""A program in Python as a component: the interpreter and its library are in the file."""

import json
import sys


class Run:
    def run(self) -> None:
        print(json.dumps({"python": sys.version_info[0], "sum": sum(range(1_000))}))
