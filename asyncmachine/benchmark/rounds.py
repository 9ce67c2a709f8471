"""A run, measured in rounds: each workload in a fresh process.

Workloads that a clause of the contract compares are measured one after the other, so that both have the same machine: its speed can
change from second to second. The order of these groups, and the order in each, is random in each round.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from asyncmachine.benchmark.catalogue import PEERS, WORKLOADS
from asyncmachine.benchmark.contract import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from asyncmachine.benchmark.timing import Effort

FORM = "asyncmachine-benchmark"
"""Says in a file what it is."""

SCHEMA = 1
"""Raised whenever the form of the results or the meaning of a number changes."""

LIMIT_S = 60.0
"""How long the process of one sample may live."""

_SEED = 1


class OrphanedError(Exception):
    """The process that asked for the run is gone, so nobody wants its results."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a run found.

    Attributes:
        rounds: How many there were.
        effort: How much was done for each sample.
        names: The workloads measured.
        samples: One entry per round and workload, in the order in which they were made: round (from 1), order (from
            0), workload, outcome, error, amount, count.
        environment: Interpreter and versions; None for a library that is not installed.
    """

    rounds: int
    effort: Effort
    names: tuple[str, ...]
    samples: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain data, with the words and the clauses that a reader needs."""
        return {
            "form": FORM,
            "schema": SCHEMA,
            "rounds": self.rounds,
            "effort": asdict(self.effort),
            "environment": dict(self.environment),
            "workloads": [WORKLOADS[name].words() for name in self.names],
            "contract": [clause.words() for clause in CONTRACT if set(clause.workloads()) <= set(self.names)],
            "samples": [dict(entry) for entry in self.samples],
        }


def run(
    names: Sequence[str],
    *,
    rounds: int,
    effort: Effort,
    progress: Callable[[str], None] = lambda _: None,
    parent: int | None = None,
) -> Results:
    """Measure workloads, interleaved.

    Args:
        names: Of the workloads.
        rounds: How often each is measured.
        effort: How much is done for each sample.
        progress: Told of each round's end in words.
        parent: Process id of whoever asked; the run ends when that process does.

    Raises:
        OrphanedError: The parent is gone.
    """
    shuffled = random.Random(_SEED)
    samples: list[dict[str, Any]] = []
    for number in range(1, rounds + 1):
        for name in _shuffle(names, shuffled):
            if parent is not None and os.getppid() != parent:
                raise OrphanedError
            samples.append({"round": number, "order": len(samples), "workload": name, **one_sample(name, effort)})
        progress(f"round {number} of {rounds}: {len(names)} workloads")
    return Results(rounds=rounds, effort=effort, names=tuple(names), samples=tuple(samples), environment=environment())


def one_sample(name: str, effort: Effort, *, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """Measure one workload in a fresh process.

    Args:
        name: Of the workload.
        effort: How much is done.
        limit_s: The process is killed after this many seconds.

    Returns:
        What the process said, or why it said nothing: outcome, error, amount, count.
    """
    asked = json.dumps({"workload": name, "effort": asdict(effort)})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "asyncmachine.benchmark.worker"],
            input=asked,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _failed(f"the process was stopped after {limit_s:g} s")
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        words = done.stderr.strip().splitlines()
        return _failed(f"the process ended with status {done.returncode}{': ' + words[-1] if words else ''}")
    return said


def environment() -> dict[str, Any]:
    """Give interpreter and versions."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        **{name: _installed(name) for name in PEERS},
    }


def _shuffle(names: Sequence[str], shuffled: random.Random) -> list[str]:
    """Give the workloads in random order, those that clauses compare next to one another."""
    groups = _compared(names)
    shuffled.shuffle(groups)
    for group in groups:
        shuffled.shuffle(group)
    return [name for group in groups for name in group]


def _compared(names: Sequence[str]) -> list[list[str]]:
    """Put workloads that a clause compares, directly or through others, into one group each."""
    groups = [[name] for name in names]
    for clause in CONTRACT:
        together = [group for group in groups if not set(clause.workloads()).isdisjoint(group)]
        if together:
            groups = [group for group in groups if group not in together]
            groups.append([name for group in together for name in group])
    return groups


def _failed(error: str) -> dict[str, Any]:
    return {"outcome": "failed", "error": error, "amount": 0, "count": 0}


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
