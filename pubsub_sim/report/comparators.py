"""Comparators: CPU time per RPC of other programs beside the versions, and ratios to the references.

References are versions of the same work with less around it: the lower bound only floods, `direct` takes the same decisions by
plain calls. Other comparators are other implementations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pubsub_sim.report.display import Absent, Prose, Several, Table
from pubsub_sim.report.formatting import NOTHING, count_things, format_code, format_estimate, format_ratio, to_json
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import PAIR, match_pairs
from pubsub_sim.report.sweep import CELL
from pubsub_sim.results.intervals import UNKNOWN, estimate_center

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from pubsub_sim.report.sweep import Sweep
    from pubsub_sim.results.intervals import Estimate

LOWER_BOUND, DIRECT = "lower-bound", "direct"
"""Names of the references."""

REFERENCES = (LOWER_BOUND, DIRECT)
"""Versions that the others are divided by, the cheaper one first."""

PLACE = ("loop", "sign", "transport")
"""Parameters that make a condition of a cell, in the order in which tables show them."""

FEWEST = 10
"""Runs below which no interval is given: of few values a bootstrap interval is too narrow."""

_LABELS = {"memory": "memory", "tcp": "TCP", "strict": "signed", "none": "unsigned"}
_WORDS = {"a yardstick": "a reference"}
_WORK = QUANTITIES["cpu"]
_PER_RPC = QUANTITIES["cpu-per-rpc"]
_WALL = "rand msgs/wall_ns"
_COLUMNS = (*PAIR, *PLACE, "version", "pair", "outcome", _PER_RPC.column, _PER_RPC.over, _WALL)
"""What is taken of each run; both quantities of CPU time are of one column."""

_US = 1e3


@dataclass(frozen=True)
class Condition:
    """One cell of the grid on one loop, signed or not, in memory or over sockets.

    Attributes:
        hosts: number of hosts.
        messages: number of random messages.
        loop: event loop.
        sign: "strict" or "none".
        transport: "memory", "tcp" or "libp2p".
        runs: version to its runs, one row each.
    """

    hosts: int
    messages: int
    loop: str
    sign: str
    transport: str
    runs: Mapping[str, pd.DataFrame]

    @property
    def label(self) -> str:
        """Network and signing, for the heading of a column."""
        return f"{_LABELS[self.transport]}, {_LABELS[self.sign]}"

    def per_rpc(self, version: str) -> Estimate:
        """Estimate a version's CPU time per RPC in microseconds."""
        runs = self.runs.get(version)
        if runs is None:
            return UNKNOWN
        return _drop_narrow(estimate_center(_PER_RPC.of(runs), runs["session"]))

    def ratio(self, version: str, reference: str) -> Estimate:
        """Estimate the ratio of the CPU times of `rand msgs` from the paired ratios."""
        if version not in self.runs or reference not in self.runs:
            return UNKNOWN
        paired = match_pairs(self.runs[reference], self.runs[version], _WORK)
        found = estimate_center(paired["log_ratio"], paired["session"])
        return _drop_narrow(found.exp()) if found.is_known else found


def _drop_narrow(value: Estimate) -> Estimate:
    return value if value.observations >= FEWEST else replace(value, low=np.nan, high=np.nan)


def _reword(summary: str) -> str:
    """Write a stored description in the terms of the report."""
    for old, new in _WORDS.items():
        summary = summary.replace(old, new)
    return summary


def name_version(name: str) -> str:
    """Give a version's name as tables show it."""
    return "lower bound" if name == LOWER_BOUND else format_code(name)


def list_conditions(sweep: Sweep) -> list[Condition]:
    """Give the conditions of the runs beside comparators in a fixed order, the transports of each side by side."""
    return sweep.once("conditions beside comparators", lambda: _divide(sweep.field))


def _divide(field: pd.DataFrame) -> list[Condition]:
    own = field[[name for name in _COLUMNS if name in field]]
    by_place: dict[tuple[str, ...], dict[str, pd.DataFrame]] = {}
    for place, runs in own.groupby([*CELL, *PLACE, "version"], sort=True):
        *where, version = map(str, place)
        by_place.setdefault(tuple(where), {})[version] = runs
    return [
        Condition(hosts=int(hosts), messages=int(messages), loop=loop, sign=sign, transport=transport, runs=runs)
        for (hosts, messages, loop, sign, transport), runs in by_place.items()
    ]


def list_versions(sweep: Sweep) -> list[str]:
    """Name everybody in the runs beside comparators: references, the versions of the sweep, then the others."""
    there = sorted(set(map(str, sweep.field["version"])))
    known = [name for name in (*REFERENCES, *sweep.versions) if name in there]
    return [*known, *(name for name in there if name not in known)]


def list_largest(sweep: Sweep, *transports: str) -> list[Condition]:
    """Give the conditions of the largest cell on the sweep's event loop, in memory first, signed first.

    Args:
        sweep: the runs.
        transports: which are asked for; by default those on which everybody can be run, memory and TCP.
    """
    loop, wanted = sweep.conditions().get("loop", ""), transports or ("memory", "tcp")
    there = [found for found in list_conditions(sweep) if found.loop == loop and found.transport in wanted]
    largest = max(((found.hosts, found.messages) for found in there), default=None)
    chosen = [found for found in there if (found.hosts, found.messages) == largest]
    return sorted(chosen, key=lambda found: (found.transport, found.sign != "strict"))


def show_largest(sweep: Sweep) -> Several | Absent:
    """Give the CPU time per RPC in the largest cell, a column per condition."""
    found = list_largest(sweep)
    if not found:
        return Absent("This sweep has no runs beside comparators.")
    columns = ["version", *(condition.label for condition in found)]
    versions = list_versions(sweep)
    times = [[name_version(name), *(format_estimate(one.per_rpc(name)) for one in found)] for name in versions]
    where = f"{count_things(found[0].hosts, 'host')}, {count_things(found[0].messages, 'message')}, {found[0].loop}"
    return Several([Prose(f"**CPU time per RPC, µs** ({where})"), Table(columns, times)])


@dataclass(frozen=True)
class EncryptedNode:
    """What an RPC and a message take in a node with Noise and yamux, in the largest cell that comparators ran.

    Attributes:
        version: name of the version or program.
        sign: "strict" or "none".
        hosts: number of hosts.
        messages: number of random messages.
        cpu_per_rpc: CPU time in us.
        cpu_per_message: CPU time in us.
        wall_per_message: wall-clock time in us.
        over: name of a program that was run with it.
        ratio: of the CPU time of the messages to that program's, from the paired ratios.
    """

    version: str
    sign: str
    hosts: int
    messages: int
    cpu_per_rpc: Estimate
    cpu_per_message: Estimate
    wall_per_message: Estimate
    over: str
    ratio: Estimate


def list_encrypted(sweep: Sweep) -> list[EncryptedNode]:
    """Give the versions over libp2p and the programs that encrypt and multiplex, signed ones first.

    Returns:
        Versions before programs; nothing if either is missing, as each stands beside the other.
    """
    found: list[EncryptedNode] = []
    ours = {condition.sign: condition for condition in list_largest(sweep, "libp2p")}
    for condition in list_largest(sweep, "tcp"):
        own = ours.get(condition.sign)
        programs = [name for name in sorted(condition.runs) if _encrypts(sweep, name)]
        if own is not None and programs and (own.hosts, own.messages) == (condition.hosts, condition.messages):
            versions = [name for name in list_versions(sweep) if name in own.runs]
            both = replace(own, runs={**{name: condition.runs[name] for name in programs}, **own.runs})
            found += [_encrypted(both, name, programs[0]) for name in (*versions, *programs)]
    return found


def _encrypts(sweep: Sweep, name: str) -> bool:
    """Tell from its own description whether a program encrypts and multiplexes."""
    also = [str(word) for word in sweep.described.get(name, {}).get("also", ())]
    return all(any(word.startswith(what) for word in also) for what in ("encrypts", "multiplexes"))


def _encrypted(condition: Condition, name: str, over: str) -> EncryptedNode:
    runs = condition.runs[name]

    def per_message(column: str) -> Estimate:
        if column not in runs:
            return UNKNOWN
        each = runs[column].astype("float64").where(runs["outcome"] == "ok") / condition.messages / _US
        return _drop_narrow(estimate_center(each, runs["session"]))

    return EncryptedNode(
        version=name,
        sign=condition.sign,
        hosts=condition.hosts,
        messages=condition.messages,
        cpu_per_rpc=condition.per_rpc(name),
        cpu_per_message=per_message(_PER_RPC.column),
        wall_per_message=per_message(_WALL),
        over=over,
        ratio=condition.ratio(name, over) if name != over else UNKNOWN,
    )


def show_encrypted(sweep: Sweep) -> Several | Absent:
    """Give what nodes with Noise and yamux take for an RPC and a message: the versions over libp2p beside other programs."""
    found = list_encrypted(sweep)
    if not found:
        return Absent("This sweep has no versions over libp2p beside programs that encrypt and multiplex too.")
    rows = [
        [
            name_version(one.version),
            _LABELS.get(one.sign, one.sign),
            *map(format_estimate, (one.cpu_per_rpc, one.cpu_per_message, one.wall_per_message)),
            format_ratio(one.ratio) if one.ratio.is_known else NOTHING,
        ]
        for one in found
    ]
    where = f"{count_things(found[0].hosts, 'host')}, {count_things(found[0].messages, 'message')}"
    text = (
        f"**Nodes with Noise and yamux** ({where}): the versions with `transport=libp2p`, and programs that encrypt and "
        "multiplex too, run one after the other without time slices. CPU time is that of all threads, so a program that runs on several "
        "cores may take less wall-clock time than CPU time. Ratios are of the CPU times of the same messages in the same pair."
    )
    columns = ["node", "signatures", "CPU µs per RPC", "CPU µs per message", "wall µs per message"]
    columns.append(f"ratio to {name_version(found[0].over)}")
    return Several([Prose(text), Table(columns, rows, words=2)])


def summarise_encrypted(sweep: Sweep) -> list[dict[str, Any]]:
    """Give the same as JSON values, an entry per node, signing and quantity."""
    return [
        {"quantity": quantity, "per": unit, "version": one.version, "sign": one.sign}
        | {"hosts": one.hosts, "messages": one.messages, "unit": "µs"}
        | to_json(value)
        for one in list_encrypted(sweep)
        for quantity, unit, value in (
            ("cpu", "RPC", one.cpu_per_rpc),
            ("cpu", "message", one.cpu_per_message),
            ("wall", "message", one.wall_per_message),
        )
        if value.is_known
    ] + [
        {"quantity": "cpu ratio", "version": one.version, "over": one.over, "sign": one.sign}
        | {"hosts": one.hosts, "messages": one.messages, "unit": "1"}
        | to_json(one.ratio)
        for one in list_encrypted(sweep)
        if one.ratio.is_known
    ]


def tabulate(sweep: Sweep, reference: str) -> Table | Absent:
    """Divide everybody's CPU time of the messages by a reference's.

    Args:
        sweep: the runs.
        reference: the version that is divided by.

    Returns:
        One row per cell, loop, signing and transport: the reference's time per RPC, then the ratio of each other version
        to it; or a sentence if the sweep has no such runs.
    """
    if not (sweep.field["version"] == reference).any():
        return Absent(f"This sweep has no runs of the {name_version(reference)}.")
    others = [name for name in list_versions(sweep) if name != reference]
    columns = ["hosts", "messages", "loop", "signatures", "transport", f"{name_version(reference)}, µs per RPC"]
    columns += [f"{name_version(name)}, ratio" for name in others]
    rows = []
    for condition in list_conditions(sweep):
        if reference not in condition.runs:
            continue
        row = [f"{condition.hosts:,}", f"{condition.messages:,}", condition.loop, condition.sign, condition.transport]
        row.append(format_estimate(condition.per_rpc(reference)))
        ratios = (condition.ratio(name, reference) for name in others)
        rows.append(row + [format_ratio(found) if found.is_known else NOTHING for found in ratios])
    return Table(columns, rows)


def describe(sweep: Sweep) -> Prose:
    """Say how many runs beside comparators there are, how many failed, and whether they have intervals."""
    if sweep.field.empty:
        return Absent("This sweep has no runs beside comparators.")
    failed = int((sweep.field["outcome"] != "ok").sum())
    fewest = int(sweep.field.groupby([*CELL, *PLACE, "version"]).size().min())
    text = f"{failed:,} of the {count_things(len(sweep.field), 'run')} beside comparators failed."
    if fewest < FEWEST:
        text += " Values of fewer than ten runs or pairs have no interval."
    return Prose(text)


def tabulate_comparators(sweep: Sweep) -> Table | Absent:
    """Say which comparators stand beside the versions, and what each does that those do not.

    Returns:
        One row each, in its own words; or a sentence if nobody does, or nobody described itself.
    """
    guests = [name for name in list_versions(sweep) if name not in sweep.versions and name in sweep.described]
    if not guests:
        return Absent("This sweep has no comparators.")
    rows = []
    for name in guests:
        described = sweep.described[name]
        besides = "; ".join(map(str, described.get("also", ())))
        rows.append([name_version(name), _reword(str(described.get("summary", NOTHING))), besides or NOTHING])
    return Table(["name", "what it is", "what it also does, and ours do not"], rows, words=3)
