"""In which order are the runs of a grid made? Pairs side by side in random order, cells shuffled, both by the seed."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.results import RunParameters

if TYPE_CHECKING:
    from pubsub_sim.bench.grid import SweepOptions


@dataclass(frozen=True)
class Pair:
    """The runs of one cell and repeat, which are compared with each other.

    Attributes:
        first: position of its first run in the sweep, from 0.
        runs: one run per version, and the control if there is one, in the order in which they are made.
    """

    first: int
    runs: tuple[RunParameters, ...]


def plan(options: SweepOptions) -> tuple[Pair, ...]:
    """Lay the runs of a sweep out.

    Args:
        options: the grid.

    Returns:
        Pairs in a shuffled order, so that a drift of the machine spreads over the grid. Runs of a pair stand side by
        side in an order drawn for that pair and have the same seed. The same options always give the same plan.
    """
    cells = list(itertools.product(options.hosts, options.messages, range(1, options.repeats + 1)))
    random.Random(f"{options.seed}/cells").shuffle(cells)
    pairs: list[Pair] = []
    first = 0
    for hosts, messages, repeat in cells:
        runs = [_run(options, version, hosts, messages, repeat, "timing") for version in options.versions]
        if options.control:
            runs.append(_run(options, options.versions[0], hosts, messages, repeat, "control"))
        random.Random(f"{options.seed}/{hosts}/{messages}/{repeat}").shuffle(runs)
        pairs.append(Pair(first, tuple(runs)))
        first += len(runs)
    return tuple(pairs)


def spec_of(run: RunParameters) -> RunSpec:
    """Give what a worker must know of a run."""
    return RunSpec(**{entry.name: getattr(run, entry.name) for entry in fields(RunSpec)})


def _run(options: SweepOptions, version: str, hosts: int, messages: int, repeat: int, kind: str) -> RunParameters:
    return RunParameters(
        version=version,
        hosts=hosts,
        messages=messages,
        repeat=repeat,
        router=options.router,
        transport=options.transport,
        loop=options.loop,
        sign=options.sign,
        seed=options.seed + repeat - 1,
        barrier=options.barrier,
        warmup=options.warmup,
        allocator=options.allocator,
        kind=kind,
    )
