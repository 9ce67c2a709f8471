"""The run order of a grid: cells are shuffled, and so are the runs within each pair, both by the seed.

One session follows the other. In each, timing runs come first, then those without time slices, then instrumented runs, one
kind after the other, then the comparators. What is not repeated in each session is dealt out to the sessions in turn.
"""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from pubsub_sim.bench.conditions import list_conditions
from pubsub_sim.bench.instruments import INSTRUMENTS
from pubsub_sim.bench.options import COMPARED_TRANSPORTS, LOOPS, SIGNS
from pubsub_sim.bench.spec import COMPARED, WHOLE, RunSpec
from pubsub_sim.results import RunParameters
from pubsub_sim.scenarios.versions import LOWER_BOUND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pubsub_sim.bench.conditions import Condition
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
    sessions = range(1, options.sessions + 1)
    together = [runs for session in sessions for runs in _of_session(options, session)]
    firsts = itertools.accumulate(map(len, together), initial=0)
    return tuple(Pair(first, tuple(runs)) for first, runs in zip(firsts, together, strict=False))


def _of_session(options: SweepOptions, session: int) -> Iterator[list[RunParameters]]:
    main, *beside = list_conditions(options)
    timed = range(1, options.repeats + 1)
    places = [place for condition in (main, *beside) for place in _places(condition, timed)]
    yield from _shuffled(options, places, "timing", session)
    corners = replace(main, hosts=_ends(main.hosts), messages=_ends(main.messages))
    yield from _shuffled(options, _places(corners, range(1, options.whole_repeats + 1)), WHOLE, session)
    for kind in INSTRUMENTS:
        repeats = _dealt(getattr(options, f"{kind}_repeats"), options.sessions, session)
        yield from _shuffled(options, _places(main, repeats), kind, session)
    yield from _of_comparators(options, main, session)


Place = tuple["Condition", int, int, int]
"""Condition, hosts, messages and repeat of a pair."""


def _places(condition: Condition, repeats: Iterable[int]) -> list[Place]:
    return list(itertools.product([condition], condition.hosts, condition.messages, repeats))


def _ends(values: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((min(values), max(values))))


def _dealt(repeats: int, sessions: int, session: int) -> range:
    """Give the repeats of a whole sweep that fall to a session."""
    return range(session, repeats + 1, sessions)


def _shuffled(options: SweepOptions, places: list[Place], kind: str, session: int) -> Iterator[list[RunParameters]]:
    random.Random(_seed(options, session, "cells")).shuffle(places)
    for place in places:
        yield _side_by_side(options, place, kind, session)


def _side_by_side(options: SweepOptions, place: Place, kind: str, session: int) -> list[RunParameters]:
    runs = [_run(options, version, place, kind, session) for version in options.versions]
    if options.control and kind == "timing":
        runs.append(_run(options, options.versions[0], place, "control", session))
    condition, hosts, messages, repeat = place
    is_main = all(getattr(options, name) == value for name, value in condition.place.items())
    words = [str(hosts), str(messages), str(repeat), *([] if is_main else [condition.label])]
    random.Random(_seed(options, session, *words)).shuffle(runs)
    return runs


def _seed(options: SweepOptions, session: int, *words: str) -> str:
    """Name a source of chance; those of the first session are named as in sweeps without sessions."""
    return "/".join([str(options.seed), *([f"session {session}"] if session > 1 else []), *words])


def _of_comparators(options: SweepOptions, main: Condition, session: int) -> Iterator[list[RunParameters]]:
    if not options.comparators:
        return
    corners = dict.fromkeys((size(options.hosts), size(options.messages)) for size in (min, max))
    repeats = _dealt(options.comparator_repeats, options.sessions, session)
    cells = list(itertools.product(corners, COMPARED_TRANSPORTS, LOOPS, SIGNS, repeats))
    random.Random(_seed(options, session, "field")).shuffle(cells)
    for (hosts, messages), transport, loop, sign, repeat in cells:
        ours, programs = _names_beside(options, repeat)
        there = [*ours, *(programs if (transport, loop) == ("tcp", options.loop) else [])]
        condition = replace(main, transport=transport, loop=loop, sign=sign)
        runs = [_run(options, name, (condition, hosts, messages, repeat), COMPARED, session) for name in there]
        if len(there) > len(ours):
            place = replace(condition, transport="libp2p"), hosts, messages, repeat
            versions = [name for name in options.versions if name in ours and name != LOWER_BOUND]
            runs += [_run(options, name, place, COMPARED, session) for name in versions]
        words = ["field", str(hosts), str(messages), transport, loop, sign, str(repeat)]
        random.Random(_seed(options, session, *words)).shuffle(runs)
        yield runs


def _names_beside(options: SweepOptions, repeat: int) -> tuple[list[str], list[str]]:
    """Name the versions and references of a repeat beside comparators, then the programs of others that take part in it."""
    names = [*options.versions, *options.comparators]
    programs = [name for name in names if name in options.commands]
    return [name for name in names if name not in programs], [
        name for name in programs if repeat <= options.repeats_of(name)
    ]


def one_more(options: SweepOptions, stops: Iterable[Stop], first: int) -> tuple[Pair, ...]:
    """Lay out one more timing pair for every cell that is not narrow enough yet, in a shuffled order.

    Args:
        options: the grid.
        stops: what was decided about its cells.
        first: position of the first of these runs in the sweep.
    """
    open_cells = [(stop.hosts, stop.messages, stop.repeats + 1) for stop in stops if not stop.reason]
    random.Random(f"{options.seed}/more/{open_cells}").shuffle(open_cells)
    main = list_conditions(options)[0]
    together = [_side_by_side(options, (main, *cell), "timing", 1) for cell in open_cells]
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


def _run(options: SweepOptions, version: str, place: Place, kind: str, session: int) -> RunParameters:
    condition, hosts, messages, repeat = place
    is_in_session = kind in ("timing", "control", WHOLE)
    earlier = (session - 1) * options.repeats if is_in_session else 0
    return RunParameters(
        version=version,
        hosts=hosts,
        messages=messages,
        repeat=repeat,
        **condition.place,
        seed=options.seed + earlier + repeat - 1,
        barrier=options.barrier,
        warmup=options.warmup,
        allocator=options.allocator,
        kind=kind,
        session=session,
    )
