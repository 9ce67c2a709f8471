"""The run order of a grid: cells are shuffled, and so are the runs within each pair, both by the seed.

Timing runs come first, then instrumented runs, one kind after the other, then the comparators.
"""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from pubsub_sim.bench.instruments import INSTRUMENTS
from pubsub_sim.bench.options import COMPARED_TRANSPORTS, LOOPS, SIGNS
from pubsub_sim.bench.spec import COMPARED, RunSpec
from pubsub_sim.results import RunParameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pubsub_sim.bench.options import SweepOptions
    from pubsub_sim.bench.stopping import Stop


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
    repeats = {"timing": options.repeats, **{kind: getattr(options, f"{kind}_repeats") for kind in INSTRUMENTS}}
    together = [runs for kind, amount in repeats.items() for runs in _of_kind(options, kind, amount)]
    together += _of_comparators(options)
    firsts = itertools.accumulate(map(len, together), initial=0)
    return tuple(Pair(first, tuple(runs)) for first, runs in zip(firsts, together, strict=False))


def _of_kind(options: SweepOptions, kind: str, repeats: int) -> Iterator[list[RunParameters]]:
    cells = list(itertools.product(options.hosts, options.messages, range(1, repeats + 1)))
    random.Random(f"{options.seed}/cells").shuffle(cells)
    for hosts, messages, repeat in cells:
        yield _side_by_side(options, kind, hosts, messages, repeat)


def _side_by_side(options: SweepOptions, kind: str, hosts: int, messages: int, repeat: int) -> list[RunParameters]:
    runs = [_run(options, version, hosts, messages, repeat, kind) for version in options.versions]
    if options.control and kind == "timing":
        runs.append(_run(options, options.versions[0], hosts, messages, repeat, "control"))
    random.Random(f"{options.seed}/{hosts}/{messages}/{repeat}").shuffle(runs)
    return runs


def _of_comparators(options: SweepOptions) -> Iterator[list[RunParameters]]:
    if not options.comparators:
        return
    corners = dict.fromkeys((size(options.hosts), size(options.messages)) for size in (min, max))
    cells = list(
        itertools.product(corners, COMPARED_TRANSPORTS, LOOPS, SIGNS, range(1, options.comparator_repeats + 1))
    )
    random.Random(f"{options.seed}/field").shuffle(cells)
    for (hosts, messages), transport, loop, sign, repeat in cells:
        there = [*options.versions, *options.comparators]
        if (transport, loop) != ("tcp", options.loop):
            there = [name for name in there if name not in options.commands]
        place = {"transport": transport, "loop": loop, "sign": sign}
        runs = [replace(_run(options, name, hosts, messages, repeat, COMPARED), **place) for name in there]
        random.Random(f"{options.seed}/field/{hosts}/{messages}/{'/'.join(place.values())}/{repeat}").shuffle(runs)
        yield runs


def one_more(options: SweepOptions, stops: Iterable[Stop], first: int) -> tuple[Pair, ...]:
    """Lay out one more timing pair for every cell that is not narrow enough yet, in a shuffled order.

    Args:
        options: the grid.
        stops: what was decided about its cells.
        first: position of the first of these runs in the sweep.
    """
    open_cells = [(stop.hosts, stop.messages, stop.repeats + 1) for stop in stops if not stop.reason]
    random.Random(f"{options.seed}/more/{open_cells}").shuffle(open_cells)
    together = [_side_by_side(options, "timing", *cell) for cell in open_cells]
    firsts = itertools.accumulate(map(len, together), initial=first)
    return tuple(Pair(start, tuple(runs)) for start, runs in zip(firsts, together, strict=False))


def specification(run: RunParameters) -> str:
    """Give what a worker must know of a run, as the JSON object that it reads."""
    names = [entry.name for entry in fields(RunSpec)]
    return json.dumps({name: getattr(run, name) for name in names})


def limit_of(options: SweepOptions, run: RunParameters) -> float:
    """Give the time in seconds after which a run is stopped: longer for comparators and instrumented runs."""
    is_slow = run.kind == COMPARED or run.kind in INSTRUMENTS
    return float(options.slow_limit_s if is_slow else options.limit_s)


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
