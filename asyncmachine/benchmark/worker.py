"""The process that measures one workload: one JSON specification on stdin, one JSON sample on stdout."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any

from asyncmachine.benchmark.catalogue import WORKLOADS
from asyncmachine.benchmark.timing import Effort, WrongWorkError, sample

OUTCOMES = ("ok", "absent", "failed")
"""How a sample can end: measured, its library is not installed, or anything else."""


def measure(name: str, effort: Effort) -> dict[str, Any]:
    """Measure one workload in this process.

    Args:
        name: Of the workload.
        effort: How much is done for it.

    Returns:
        The sample: outcome (one of `OUTCOMES`), error (one sentence, "" if ok), amount and count (0 if not ok).
    """
    workload = WORKLOADS[name]
    if workload.needs and importlib.util.find_spec(workload.needs) is None:
        return _sample("absent", f"{workload.who} is not installed")
    try:
        amount, count = sample(workload, effort)
    except WrongWorkError as error:
        return _sample("failed", error.what)
    except Exception as error:
        text = " ".join(str(error).split())
        return _sample("failed", f"{type(error).__name__}: {text}" if text else type(error).__name__)
    return _sample("ok", "", amount, count)


def _sample(outcome: str, error: str, amount: int = 0, count: int = 0) -> dict[str, Any]:
    return {"outcome": outcome, "error": error, "amount": amount, "count": count}


def main() -> int:
    """Read a specification, measure, write the sample; whatever the measured code prints goes to stderr."""
    asked = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        json.dump(measure(asked["workload"], Effort(**asked["effort"])), answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
