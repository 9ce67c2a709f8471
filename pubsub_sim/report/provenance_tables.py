"""Tables of what was measured, and on what: versions and their machines, phases, and the provenance of the runs."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from pubsub_sim.report.display import Absent, Picture, Prose, Several, Table
from pubsub_sim.report.formatting import NOTHING, count_things, format_code, format_given, join_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pubsub_sim.report.sweep import Sweep

PHASES = {
    "init": "create the hosts and their pubsub nodes, and join the topic",
    "subscribe": "subscribe all hosts but the first; each announces itself and searches for peers",
    "ps1.Subscribe": "subscribe the first host",
    "barrier": "connect all pairs of hosts, and wait until every host knows every subscription",
    "first message": "the first host publishes once it knows all other subscribers",
    "verify first message": "every host receives exactly that message",
    "rand msgs": "random hosts publish, one message at a time; the next follows when every host has received it",
}
"""What each phase of the scenario does."""

FACTS = {
    "commit": "commit",
    "dirty": "uncommitted changes",
    "sources": "hash of the measured sources",
    "utc": "measured (UTC)",
    "cpu": "processor",
    "cpus": "usable processors",
    "machine": "architecture",
    "kernel": "kernel",
    "libc": "C library",
    "python": "Python",
    "implementation": "implementation",
    "uvloop": "uvloop",
    "protobuf": "protobuf",
    "pynacl": "PyNaCl",
    "load_average": "load average of the machine",
    "environment": "environment variables",
    "schema": "schema of the stored runs",
}
"""Facts of the provenance in the order and the words in which they are shown."""

MAIN_FACTS = ("commit", "dirty", "utc", "cpu", "cpus", "kernel", "python", "load_average")
"""Facts that the report itself shows; its appendix shows all."""

INSTRUMENTED = {"memory": "memory", "calls": "calls", "lag": "turns of the event loop"}
"""Kind of instrumented run to what it measures."""

_ROW = 720.0
_GAP = 16.0
_NAME = 18.0
"""Width of a row of drawings, space between them, and height of a name, in points."""

_SIZE = re.compile(r'<svg\b[^>]*\bwidth="([\d.]+)pt" height="([\d.]+)pt"')
_NO_WORD = re.compile(r"[^a-z0-9]+")
_SPANS = {"utc", "load_average"}
_LAYOUT = "layout"


def tabulate_phases(sweep: Sweep) -> Table:
    """List the phases of the scenario in their order."""
    return Table(["phase", "what happens"], [[name, PHASES.get(name, NOTHING)] for name in sweep.phases], words=2)


def tabulate_versions(sweep: Sweep) -> Table:
    """List the versions, what they say of themselves and how many machines and states they have."""
    rows = []
    for name in sweep.versions:
        machines = list_machines(sweep, name)
        sizes = join_words(f"{machine.get('name', NOTHING)} ({len(machine.get('states', ()))})" for machine in machines)
        rows.append([format_code(name), str(sweep.described.get(name, {}).get("summary", NOTHING)), sizes or "none"])
    return Table(["version", "control flow", "machines (states)"], rows, words=3)


def list_machines(sweep: Sweep, version: str) -> Sequence[Mapping[str, Any]]:
    """Give the machines of a version as it described them itself; none for one without machines."""
    machines: Sequence[Mapping[str, Any]] = sweep.described.get(version, {}).get("machines", ())
    return machines


def draw_machines(sweep: Sweep, draw: Callable[[Mapping[str, Any]], str]) -> list[Picture]:
    """Draw the machines of each version that has some, in one picture.

    Args:
        sweep: the runs.
        draw: draws a machine, as its version describes it, as SVG with a width and height in points.
    """
    found = []
    for version in sweep.versions:
        machines = list_machines(sweep, version)
        if machines:
            names = [f"{machine.get('name', NOTHING)}, {_count_states(machine)}" for machine in machines]
            caption = (
                f"The state machines of {format_code(version)} with the relations of their states: {join_words(names)}."
            )
            found.append(
                Picture(f"machines-{_NO_WORD.sub('-', version.lower())}", caption, _join(names, map(draw, machines)))
            )
    return found


def _count_states(machine: Mapping[str, Any]) -> str:
    return count_things(len(machine.get("states", ())), "state")


def _join(names: Sequence[str], drawings: Iterable[str]) -> str:
    """Place drawings in rows, each under its name, at the scale at which the widest fits."""
    parts, x, y, height, width = [], 0.0, 0.0, 0.0, 0.0
    for name, drawing in zip(names, drawings, strict=True):
        svg = drawing[drawing.index("<svg") :]
        size = _SIZE.search(svg)
        if size is None:
            raise ValueError(f"drawing of {name}: expected an SVG with a width and height in points, got {svg[:60]!r}")
        wide, high = float(size[1]), float(size[2])
        if x and x + wide > _ROW:
            x, y, height = 0.0, y + height, 0.0
        parts.append(f'<text x="{x + 8:g}" y="{y + 12:g}" font-size="11" font-weight="bold">{escape(name)}</text>')
        place = f'<svg x="{x:g}" y="{y + _NAME:g}" width="{wide:g}" height="{high:g}"'
        parts.append(svg.replace(size[0], place + size[0][4:].partition("width=")[0].rstrip(), 1).strip())
        x, height, width = x + wide + _GAP, max(height, high + _NAME + _GAP), max(width, x + wide)
    box = f'width="{width:g}pt" height="{y + height:g}pt" viewBox="0 0 {width:g} {y + height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="DejaVu Sans,Verdana,sans-serif">'
    return "\n".join([head, *parts, "</svg>"])


def show_machines(sweep: Sweep) -> Several | Absent:
    """Show the states of every machine of every version."""
    parts: list[Table | Prose] = []
    for version in sweep.versions:
        for machine in list_machines(sweep, version):
            found = tabulate_states(machine)
            title = f"{format_code(version)}: {machine.get('name', NOTHING)}, {count_things(len(found.rows), 'state')}"
            parts += [Prose(f"**{title}**"), found]
    return Several(parts) if parts else Absent("No version of this sweep has state machines.")


def tabulate_states(machine: Mapping[str, Any]) -> Table:
    """List the states of a machine with their flags and relations."""
    rows = []
    for state in machine.get("states", ()):
        flags = [name for name in ("auto", "multi") if state.get(name)]
        relations = [
            f"{name}s {join_words(map(str, state[name]))}" for name in ("require", "add", "remove") if state.get(name)
        ]
        relations += [f"after {join_words(map(str, state['after']))}"] if state.get("after") else []
        rows.append([str(state.get("name", NOTHING)), ", ".join(flags), "; ".join(relations)])
    return Table(["state", "flags", "relations"], rows, words=3)


def tabulate_conditions(sweep: Sweep) -> Table:
    """List what is the same in all runs, and the grid."""
    repeats = sweep.runs.groupby(["version", "hosts", "messages"]).size()
    span = sorted({int(repeats.min()), int(repeats.max())}) if len(repeats) else []
    limits = sorted(set(sweep.runs["limit_s"]))
    rows = [
        ["hosts", ", ".join(f"{value:,}" for value in sweep.hosts)],
        ["messages in total", ", ".join(f"{value:,}" for value in sweep.messages)],
        ["sessions", f"{len(sweep.sessions):,}"],
        ["runs of each version in each cell", " to ".join(f"{value:,}" for value in span)],
        ["limit of a run", ", ".join(f"{format_given(value)} s" for value in limits)],
        *([name, value] for name, value in sweep.conditions().items()),
    ]
    return Table(["parameter", "value"], rows, words=2)


def tabulate_provenance(sweep: Sweep, *names: str) -> Table:
    """List where and with what the runs were measured.

    Args:
        sweep: the runs.
        names: which facts; none for all but the layouts of the sessions, which have a table of their own.
    """
    known = [*FACTS, *sorted(set(sweep.provenance) - set(FACTS) - {_LAYOUT})]
    chosen = [name for name in names or known if name in sweep.provenance]
    rows = [["sweep", sweep.name], ["runs", _amounts(sweep)]]
    rows += [[FACTS.get(name, name), _values(name, sweep.provenance[name])] for name in chosen]
    return Table(["fact", "value"], rows, words=2)


def tabulate_layouts(sweep: Sweep) -> Table | Absent:
    """List what each session started its workers with, in the order of the sessions."""
    layouts: list[Mapping[str, Any]] = [one for one in sweep.provenance.get(_LAYOUT, ()) if isinstance(one, dict)]
    if not layouts:
        return Absent("The runs do not say with what layout they were started.")
    names = list(dict.fromkeys(["session", *sorted({name for one in layouts for name in one})]))
    ordered = sorted(layouts, key=lambda one: int(one.get("session", 0)))
    rows = [[_value(one.get(name)) for name in names] for one in ordered]
    return Table([name.replace("_", " ").replace("bytes", "(bytes)") for name in names], rows, words=0)


def _amounts(sweep: Sweep) -> str:
    text = f"{count_things(len(sweep.runs), 'run')} compared, {count_things(len(sweep.controls), 'control run')}"
    kinds = sweep.watched.groupby("kind").size()
    parts = [f"{amount:,} for {INSTRUMENTED[str(kind)]}" for kind, amount in kinds.items()]
    beside = len(sweep.under_other_conditions())
    parts += [f"{beside:,} under other conditions"] if beside else []
    parts += [f"{len(sweep.whole):,} without time slices"] if len(sweep.whole) else []
    parts += [f"{len(sweep.field):,} beside comparators"] if len(sweep.field) else []
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
        return format_given(value)
    return NOTHING if value is None or value == "" else str(value)
