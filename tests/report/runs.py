"""Synthetic sweeps: runs whose numbers follow a rule, written through the store."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pubsub_sim.results import RUN, Row, RunParameters, RunRecord, Store

PROVENANCE = {
    "commit": "0123456789ab",
    "dirty": False,
    "sources": "c0ffee",
    "python": "3.11.7",
    "uvloop": "0.23.0",
    "cpu": "A Processor",
    "utc": "2026-01-01T00:00:00Z",
    "load_average": 0.25,
    "environment": {"PYTHONHASHSEED": "0"},
}
MACHINES = [
    {
        "name": "pubsub host",
        "id": "ps-<n>",
        "states": [
            {"name": "Start", "multi": False, "auto": False, "require": [], "add": [], "remove": [], "after": []},
            {
                "name": "Ready",
                "multi": True,
                "auto": True,
                "require": ["Start"],
                "add": ["A|B"],
                "remove": [],
                "after": [],
            },
        ],
    }
]
WAIT_NS = 100_000_000
RPCS = 1_000
WATCHED = {
    "memory": {"allocated_bytes": 4096, "peak_traced_bytes": 2048, "final_traced_bytes": 1024, "freed_bytes": 512},
    "calls": {"calls": 110},
    "lag": {"turns": 1, "longest_turn_ns": 1_000},
}
"""Kind of run to what it leaves more, per host and message at cost 1."""


def a_run(
    version: str = "baseline",
    hosts: int = 5,
    messages: int = 20,
    repeat: int = 1,
    *,
    kind: str = "timing",
    cost: float = 1.0,
    session: int = 1,
) -> RunRecord:
    """Give an ok run that takes `cost` times hosts squared by messages microseconds, in two phases, with a fixed wait in the first."""
    noise = 1 + 0.01 * ((repeat * 7 + (session - 1) * 11 + hosts + messages + (kind == "control")) % 5 - 2)
    busy = int(cost * noise * hosts**2 * messages * 1_000)
    first = {"wall_ns": WAIT_NS + 1_000_000, "cpu_ns": 900_000, "fixed_wait_ns": WAIT_NS}
    second = {"wall_ns": busy, "cpu_ns": busy, "fixed_wait_ns": 0, "rpcs": RPCS}
    run = {
        "failures": 0,
        "wall_ns": first["wall_ns"] + busy,
        "cpu_ns": first["cpu_ns"] + busy,
        "fixed_wait_ns": WAIT_NS,
        "tasks_created": 10 * hosts + messages,
        "tasks_final": 4 * hosts + 4,
        "peak_rss_bytes": (30 + hosts) << 20,
        "involuntary_switches": 3,
    } | {name: int(cost * value * hosts * messages) for name, value in WATCHED.get(kind, {}).items()}
    rows = [Row("init", name, value) for name, value in first.items()]
    rows += [Row("rand msgs", name, value) for name, value in second.items()]
    rows += [Row("rand msgs", "calls", int(cost * 100 * hosts * messages))] if kind == "calls" else []
    return RunRecord(
        parameters=RunParameters(
            version=version, hosts=hosts, messages=messages, repeat=repeat, seed=repeat, kind=kind, session=session
        ),
        outcome="ok",
        order=repeat,
        limit_s=3.0,
        rows=(*rows, *(Row(RUN, name, value) for name, value in run.items())),
        provenance=PROVENANCE,
        version={"summary": f"the {version} one", "machines": MACHINES if version == "states" else []},
    )


def failed(run: RunRecord, outcome: str = "timeout") -> RunRecord:
    """Give a run that left nothing but its failure."""
    return replace(run, outcome=outcome, error="the run was stopped at its limit", rows=(Row(RUN, "failures", 1),))


def write_sweep(
    folder: Path,
    *,
    costs: dict[str, float] | None = None,
    hosts: Sequence[int] = (5, 10),
    messages: Sequence[int] = (20, 60),
    repeats: int = 3,
    control: bool = True,
    watched: bool = False,
    field: Mapping[str, float] | None = None,
    programs: Collection[str] = (),
    without: Collection[tuple[str, int, int]] = (),
    failing: Collection[tuple[str, int, int, int]] = (),
    sessions: int = 1,
    slow: Mapping[int, float] | None = None,
    layouts: Mapping[int, float] | None = None,
    beside: Collection[Mapping[str, str]] = (),
    whole: float = 0.0,
) -> Path:
    """Write a sweep of versions that cost so many times the rule; leave out cells, let runs fail.

    Args:
        folder: where to.
        costs: version to its cost.
        hosts: of the grid.
        messages: of the grid.
        repeats: of each cell.
        control: whether the first version runs twice.
        field: version to its cost, beside those of `costs`, in the first cell, on both loops, signed and not, in memory and over
            sockets, where everything costs a quarter more; those of `programs` over sockets on one loop only, and with them those of
            `costs` over libp2p, where everything costs half more.
        programs: names in `field` that are other implementations.
        watched: whether there are runs of their own for memory, calls and turns of the loop.
        without: version, hosts and messages of cells that were never run.
        failing: version, hosts, messages and repeat of runs that failed.
        sessions: how many sessions of so many repeats there are.
        slow: session to how many times as long all of its runs take.
        layouts: session to how many times as long its runs of all versions but the first take.
        beside: parameters of other conditions; in each there are the first cell's runs, without controls.
        whole: if above 0, the cost of the other versions in runs without time slices, in the first cell.
    """
    costs = {"baseline": 1.0, "states": 1.2} if costs is None else costs
    store = Store(folder)
    cells = [(h, m, r) for h in hosts for m in messages for r in range(1, repeats + 1)]
    first = next(iter(costs))
    for session, (h, m, r) in itertools.product(range(1, sessions + 1), cells):
        pace = (slow or {}).get(session, 1.0)
        for version, cost in costs.items():
            biased = cost * pace * (1.0 if version == first else (layouts or {}).get(session, 1.0))
            if (version, h, m) not in without:
                run = a_run(version, h, m, r, cost=biased, session=session)
                store.write(failed(run) if (version, h, m, r) in failing else run)
                for kind in WATCHED if watched and session == 1 else ():
                    store.write(a_run(version, h, m, r, kind=kind, cost=cost))
            if (h, m) == cells[0][:2]:
                _write_beside(store, a_run(version, h, m, r, cost=biased, session=session), beside)
                if whole:
                    own = whole if version != first else 1.0
                    store.write(a_run(version, h, m, r, kind="whole", cost=own, session=session))
        if control:
            store.write(a_run(first, h, m, r, kind="control", cost=pace, session=session))
    for r in range(1, repeats + 1) if field else ():
        for version, cost in {**costs, **(field or {})}.items():
            for transport, loop, sign in itertools.product(_OVER, ("uvloop", "asyncio"), ("strict", "none")):
                if version in programs and (transport, loop) != ("tcp", "uvloop"):
                    continue
                if transport == "libp2p" and (not programs or version not in costs or loop != "uvloop"):
                    continue
                run = a_run(version, hosts[0], messages[0], r, kind="field", cost=cost * _OVER[transport])
                place = replace(run.parameters, transport=transport, loop=loop, sign=sign)
                also = {"also": ["encrypts", "multiplexes"]} if version in programs else {}
                store.write(replace(run, parameters=place, version={**run.version, **also}))
    return folder


_OVER = {"memory": 1.0, "tcp": 1.25, "libp2p": 1.5}


def _write_beside(store: Store, run: RunRecord, conditions: Collection[Mapping[str, str]]) -> None:
    for condition in conditions:
        store.write(replace(run, parameters=replace(run.parameters, **condition)))  # type: ignore[arg-type]
