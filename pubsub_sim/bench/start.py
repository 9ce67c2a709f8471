"""Start of a worker whose modules are imported in a given order; then it is the worker of `bench.worker`.

The order in which modules are imported decides where their code and data lie in memory, and with that how fast they run: it is
Python's order of linking. Imports only the standard library before that order begins.
"""

from __future__ import annotations

import importlib
import json
import sys


def main(arguments: list[str]) -> int:
    """Import modules, then read a specification, measure and write the record.

    The first line of stdin is a JSON list of the modules' names; what follows is the specification.

    Args:
        arguments: those of `bench.worker`.

    Returns:
        The exit status of the worker.
    """
    for name in json.loads(sys.stdin.buffer.readline()):
        importlib.import_module(name)
    status: int = importlib.import_module("pubsub_sim.bench.worker").main(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
