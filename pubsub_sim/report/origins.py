"""Tables of what was measured, and on what: versions and their machines, phases, and the provenance of the runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pubsub_sim.report.show import Picture, Prose, Several, Table
from pubsub_sim.report.wording import NOTHING, code, count, given, listing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pubsub_sim.report.sweep import Sweep

PHASES = {
    "init": "make the hosts and their pubsub nodes, and join the topic",
    "subscribe": "subscribe all hosts but the first; each announces itself and looks for the others",
    "ps1.Subscribe": "subscribe the first host",
    "barrier": "connect all pairs, and wait until every host knows every other's subscription",
    "first message": "the first host publishes as soon as it knows of all others",
    "verify first message": "every host receives exactly that message",
    "rand msgs": "random hosts publish, one message at a time, until every host has received each",
}
"""What each phase of the scenario does."""

FACTS = {
    "commit": "commit",
    "dirty": "uncommitted changes",
    "sources": "hash of the measured sources",
    "utc": "measured (UTC)",
    "cpu": "processor",
    "cpus": "processors usable",
    "machine": "architecture",
    "kernel": "kernel",
    "libc": "C library",
    "python": "Python",
    "implementation": "implementation",
    "uvloop": "uvloop",
    "protobuf": "protobuf",
    "pynacl": "PyNaCl",
    "load_average": "load average of the machine",
    "environment": "environment of the processes",
    "schema": "form of the stored runs",
}
"""Facts of the provenance in the order and the words in which they are shown."""

WATCHED_FOR = {"memory": "memory", "calls": "calls", "lag": "turns of the event loop"}
"""Kind of run to what it was watched for."""

_NO_WORD = re.compile(r"[^a-z0-9]+")
_SPANS = {"utc", "load_average"}


def phases(sweep: Sweep) -> Table:
    """List the phases of the scenario in their order."""
    return Table(["phase", "what happens"], [[name, PHASES.get(name, NOTHING)] for name in sweep.phases], words=2)


def versions(sweep: Sweep) -> Table:
    """List the versions, what they say of themselves and how many machines and states they have."""
    rows = []
    for name in sweep.versions:
        machines = machines_of(sweep, name)
        sizes = listing(f"{machine.get('name', NOTHING)} ({len(machine.get('states', ()))})" for machine in machines)
        rows.append([code(name), str(sweep.described.get(name, {}).get("summary", NOTHING)), sizes or "none"])
    return Table(["version", "control flow", "machines (states)"], rows, words=3)


def machines_of(sweep: Sweep, version: str) -> Sequence[Mapping[str, Any]]:
    """Give the machines of a version as it described them itself; none for one without machines."""
    machines: Sequence[Mapping[str, Any]] = sweep.described.get(version, {}).get("machines", ())
    return machines


def machine_pictures(sweep: Sweep, draw: Callable[[Mapping[str, Any]], str]) -> list[Picture]:
    """Draw every machine of every version.

    Args:
        sweep: the runs.
        draw: draws a machine, as its version describes it, as SVG.
    """
    described = [(version, machine) for version in sweep.versions for machine in machines_of(sweep, version)]
    return [
        Picture(
            f"machine-{number}-{_NO_WORD.sub('-', str(machine.get('name', '')).lower()).strip('-')}",
            f"{code(version)}: {machine.get('name', NOTHING)}, {count(len(machine.get('states', ())), 'state')}, with "
            f"their relations.",
            draw(machine),
        )
        for number, (version, machine) in enumerate(described, start=1)
    ]


def show_machines(sweep: Sweep) -> Several:
    """Show the states of every machine of every version."""
    parts: list[Table | Prose] = []
    for version in sweep.versions:
        for machine in machines_of(sweep, version):
            found = states(machine)
            title = f"{code(version)}: {machine.get('name', NOTHING)}, {count(len(found.rows), 'state')}"
            parts += [Prose(f"**{title}**"), found]
    return Several(parts or [Prose("No version of this sweep has machines.")])


def states(machine: Mapping[str, Any]) -> Table:
    """List the states of a machine with their flags and relations."""
    rows = []
    for state in machine.get("states", ()):
        flags = [name for name in ("auto", "multi") if state.get(name)]
        relations = [
            f"{name}s {listing(map(str, state[name]))}" for name in ("require", "add", "remove") if state.get(name)
        ]
        relations += [f"after {listing(map(str, state['after']))}"] if state.get("after") else []
        rows.append([str(state.get("name", NOTHING)), ", ".join(flags), "; ".join(relations)])
    return Table(["state", "flags", "relations"], rows, words=3)


def conditions(sweep: Sweep) -> Table:
    """List what is the same in all runs, and the grid."""
    repeats = sweep.runs.groupby(["version", "hosts", "messages"]).size()
    span = sorted({int(repeats.min()), int(repeats.max())}) if len(repeats) else []
    limits = sorted(set(sweep.runs["limit_s"]))
    rows = [
        ["hosts", ", ".join(f"{value:,}" for value in sweep.hosts)],
        ["messages in total", ", ".join(f"{value:,}" for value in sweep.messages)],
        ["runs of each version in each cell", " to ".join(f"{value:,}" for value in span)],
        ["limit of a run", ", ".join(f"{given(value)} s" for value in limits)],
        *([name, value] for name, value in sweep.conditions().items()),
    ]
    return Table(["parameter", "value"], rows, words=2)


def provenance(sweep: Sweep) -> Table:
    """List where and with what the runs were measured."""
    rows = [["sweep", sweep.name], ["runs", _amounts(sweep)]]
    names = [name for name in FACTS if name in sweep.provenance]
    names += sorted(set(sweep.provenance) - set(FACTS))
    rows += [[FACTS.get(name, name), _values(name, sweep.provenance[name])] for name in names]
    return Table(["fact", "value"], rows, words=2)


def _amounts(sweep: Sweep) -> str:
    text = f"{count(len(sweep.runs), 'run')} compared, {count(len(sweep.controls), 'control run')}"
    kinds = sweep.watched.groupby("kind").size()
    parts = [f"{amount:,} for {WATCHED_FOR[str(kind)]}" for kind, amount in kinds.items()]
    parts += [f"{len(sweep.field):,} beside yardsticks"] if len(sweep.field) else []
    return ", ".join([text, *parts])


def _values(name: str, values: Sequence[Any]) -> str:
    words = [_value(value) for value in values]
    if name in _SPANS:
        return " to ".join(dict.fromkeys(words))
    return "; ".join(words) or NOTHING


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}={entry}" for key, entry in sorted(value.items()))
    if isinstance(value, float):
        return given(value)
    return NOTHING if value is None or value == "" else str(value)
