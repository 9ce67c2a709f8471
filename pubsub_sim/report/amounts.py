"""What a version costs more, as amounts of CPU time for a message, a delivery and an RPC, under every condition of a sweep.

A ratio tells how dear the work is that both versions share: the same amount is a large part of an unsigned message in memory
and a small one of a signed message over encrypted sockets. So the amount comes first, then the ratio with its condition, then
the share of the work of a node that does more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pubsub_sim.report.comparators import list_largest
from pubsub_sim.report.display import Absent, Picture, Prose, Table
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_code,
    format_estimate,
    format_interval,
    format_number,
    format_ratio,
    join_words,
    round_number,
    to_json,
)
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import divide_by_cell, estimate_mean, estimate_over_grid, pair_version
from pubsub_sim.report.style import WIDTH, choose_look, drawing, render
from pubsub_sim.report.sweep import CELL, CONDITION, Sweep
from pubsub_sim.results.intervals import UNKNOWN, Estimate, estimate_center

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes

UNITS = ("message", "delivery", "RPC")
"""What an amount is given for."""

_CPU, _PER_RPC = QUANTITIES["cpu"], QUANTITIES["cpu-per-rpc"]
_US_PER_MS = 1000
_SIGNED = {"strict": "signed", "none": "unsigned"}
_NETWORK = {"memory": "in memory", "tcp": "over TCP", "libp2p": "over TCP with Noise and yamux"}
_REAL = "go-libp2p"


@dataclass(frozen=True)
class Amount:
    """What a version costs more than the base under one condition.

    Attributes:
        sweep: the runs under that condition.
        version: whose cost.
        each: unit to the difference of CPU time in us, a mean over the cells.
        ratio: of the CPU times of the messages.
        base_per_rpc: CPU time of the base for an RPC in us, a mean over the cells.
    """

    sweep: Sweep
    version: str
    each: dict[str, Estimate]
    ratio: Estimate
    base_per_rpc: float

    @property
    def condition(self) -> str:
        """The condition in words."""
        found = self.sweep.conditions()
        signing = _SIGNED.get(found["sign"], found["sign"])
        return f"{signing}, {found['router']}, {_NETWORK.get(found['transport'], found['transport'])}, {found['loop']}"


@dataclass(frozen=True)
class Share:
    """An amount as a share of the work of a node.

    Attributes:
        amount: what a version costs more, and where.
        node: whose work it is held against, in words.
        per_rpc: CPU time of that node for an RPC in us.
        percent: the amount for an RPC as a share of it.
    """

    amount: Amount
    node: str
    per_rpc: float
    percent: Estimate


def list_amounts(sweep: Sweep, version: str) -> list[Amount]:
    """Give the amounts under every condition of a sweep, the main one first; those without a pair are left out.

    Args:
        sweep: the runs.
        version: which version is compared with the base.
    """
    found = []
    for own in (sweep, *sweep.beside):
        paired = _counted(own, version)
        if paired.empty:
            continue
        each = {unit: estimate_mean(_divided(paired, unit), "each") for unit in UNITS}
        ratio = estimate_over_grid(pair_version(own, version, _CPU))
        found.append(Amount(own, version, each, ratio, _base_per_rpc(own)))
    return found


def list_shares(sweep: Sweep, version: str) -> list[Share]:
    """Hold the amount for an RPC against nodes that do the work of real ones, as far as the sweep has them.

    These are a relay that neither signs nor verifies, in memory; our own node with Noise and yamux; and go-libp2p, from the
    runs beside comparators. Each is held against the amount under its own signing and the network nearest to its own.
    """
    found: list[Share] = []
    amounts = list_amounts(sweep, version)
    unsigned = _choose(amounts, sign="none", transport="memory")
    if unsigned is not None:
        found.append(
            _share(unsigned, f"an unsigned relay ({format_code(sweep.base)} in memory)", unsigned.base_per_rpc)
        )
    encrypted = _choose(amounts, sign="strict", transport="libp2p")
    if encrypted is not None:
        node = f"a node with Noise and yamux ({format_code(sweep.base)})"
        found.append(_share(encrypted, node, encrypted.base_per_rpc))
    for condition in list_largest(sweep):
        theirs = condition.per_rpc(_REAL) if (condition.transport, condition.sign) == ("tcp", "strict") else UNKNOWN
        amount = _choose(amounts, sign="strict", transport="tcp") or _choose(amounts, sign="strict")
        if theirs.is_known and amount is not None:
            cell = condition.hosts, condition.messages
            node = f"{format_code(_REAL)} with Noise and yamux, in Go and with {cell[0]:,} hosts,"
            more = _estimate_in_cell(amount, cell)
            if more.is_known:
                found.append(_share(amount, node, theirs.value, more))
    return found


def describe(sweep: Sweep) -> Prose:
    """Say the amounts under the main condition and under the one that differs from it in signing, for each version."""
    sentences = [_describe_version(sweep, version) for version in sweep.others]
    known = [text for text in sentences if text]
    return Prose("\n\n".join(known)) if known else Absent("No pair of runs succeeded, so there is no amount.")


def tabulate(sweep: Sweep) -> Table | Absent:
    """Give the amounts and the ratio under every condition; the hosts of each, too, if they are not the same in all."""
    rows = []
    for version in sweep.others:
        for found in list_amounts(sweep, version):
            row = [format_code(version), found.condition, _cells(found.sweep)]
            row += [format_estimate(found.each[unit]) for unit in UNITS]
            rows.append([*row, format_ratio(found.ratio) if found.ratio.is_known else NOTHING])
    if not rows:
        return Absent("No pair of runs succeeded, so there are no amounts.")
    words = [("version", len(sweep.others) > 1), ("condition", True), ("hosts", len({row[2] for row in rows}) > 1)]
    shown = [place for place, (_, is_shown) in enumerate(words) if is_shown]
    rows = [[*(row[place] for place in shown), *row[len(words) :]] for row in rows]
    columns = [words[place][0] for place in shown] + [f"µs per {unit}" for unit in UNITS]
    return Table([*columns, "ratio"], rows, words=len(shown))


def draw(sweep: Sweep) -> Picture | Absent:
    """Draw amounts for a message and an RPC, and the ratio, a row for each condition; a sentence for a single one."""
    found = {version: list_amounts(sweep, version) for version in sweep.others}
    labels = list(dict.fromkeys(one.condition for amounts in found.values() for one in amounts))
    if len(labels) < 2:
        return Absent("The sweep has one condition, so there is nothing to set beside it.")
    titles = (*(f"µs more per {unit}" for unit in ("message", "RPC")), "ratio of CPU times")
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _ROW * len(labels)), layout="constrained")
        panels = list(figure.subplots(1, len(titles), sharey=True))
        for order, (version, amounts) in enumerate(found.items()):
            style = choose_look(sweep.versions.index(version))
            for one in amounts:
                place = labels.index(one.condition) + order * _STEP
                for panel, value in zip(panels, (one.each["message"], one.each["RPC"], one.ratio), strict=True):
                    _mark(panel, place, value, str(style["color"]), str(style["marker"]))
        for panel, title in zip(panels, titles, strict=True):
            panel.set_title(title)
            panel.axvline(1 if panel is panels[-1] else 0, color="#444444", linewidth=0.7, zorder=1)
            panel.grid(visible=True, axis="x")
            panel.grid(visible=False, axis="y")
        panels[0].set_yticks(range(len(labels)), labels, fontsize=6.5)
        panels[0].set_ylim(len(labels) - 0.5, -0.5)
        looks = [choose_look(sweep.versions.index(version)) for version in found]
        handles = [
            Line2D(
                [],
                [],
                label=f"{version} beside {sweep.base}",
                linestyle="",
                markersize=4,
                color=look["color"],
                marker=look["marker"],
            )
            for version, look in zip(found, looks, strict=True)
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=1.5)
        caption = (
            f"CPU time that a version takes more than {format_code(sweep.base)} while messages are sent, and the ratio of the two, under each "
            "condition. Mark: mean over the cells; line: its 95 % interval. The same amount is a large ratio where a message is cheap."
        )
        return render(figure, "amounts", caption)


_HEAD, _ROW, _STEP = 0.9, 0.2, 0.25


def _mark(panel: Axes, place: float, value: Estimate, color: str, marker: str) -> None:
    if value.has_interval:
        panel.plot([value.low, value.high], [place, place], color=color, linewidth=1, zorder=2)
    if value.is_known:
        panel.plot([value.value], [place], color=color, marker=marker, markersize=3.5, mew=0, zorder=3)


def describe_shares(sweep: Sweep) -> Prose:
    """Say what share of the work of a real node the amounts are."""
    sentences = []
    for version in sweep.others:
        parts = [
            f"{format_estimate(found.percent)} % of the {format_number(found.per_rpc)} µs that {found.node} takes for an RPC"
            for found in list_shares(sweep, version)
        ]
        if parts:
            sentences.append(f"What {format_code(version)} takes more for an RPC is {join_words(parts)}.")
    if not sentences:
        return Absent("The sweep has no node of another kind to hold the amounts against.")
    return Prose(" ".join(sentences))


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give amounts, ratios and shares as JSON values, per version and condition."""
    entries: list[dict[str, Any]] = []
    for version in sweep.others:
        for found in list_amounts(sweep, version):
            place = {"version": version, "over": sweep.base} | {
                name: found.sweep.conditions()[name] for name in CONDITION
            }
            entries += [
                {"quantity": "cpu more", "per": unit, **place, "unit": "µs"} | to_json(found.each[unit])
                for unit in UNITS
            ]
            entries.append({"quantity": "cpu ratio", **place, "unit": "1"} | to_json(found.ratio))
            own: dict[str, Any] = {"quantity": "cpu of the base", "per": "RPC", **place, "unit": "µs"}
            entries.append(own | {"value": round_number(found.base_per_rpc)})
        for share in list_shares(sweep, version):
            told = {"quantity": "cpu more", "per": "RPC", "version": version, "of": share.node, "unit": "%"}
            entries.append(told | {"of_us": round_number(share.per_rpc)} | to_json(share.percent))
    return entries


def _describe_version(sweep: Sweep, version: str) -> str:
    amounts = list_amounts(sweep, version)
    parts = [_describe_amount(sweep, found) for found in _told(sweep, amounts)]
    if not parts:
        return ""
    cells = f"the {count_things(len(sweep.cells), 'cell')} of {join_words(map(str, sweep.hosts))} hosts"
    return f"{format_code(version)} takes {'; '.join(parts)}. These are means over {cells}. The table gives the differences of CPU times and their ratio under every condition."


def _told(sweep: Sweep, amounts: list[Amount]) -> Iterator[Amount]:
    """Choose what the first sentence tells: the main condition, and the one that differs from it in signing only."""
    main = sweep.conditions()
    for found in amounts:
        own = found.sweep.conditions()
        if all(own[name] == main[name] for name in CONDITION if name != "sign"):
            yield found


def _describe_amount(sweep: Sweep, found: Amount) -> str:
    parts = [f"**{_signed(found.each[unit])} for {_article(unit)}**{_bracket(found.each[unit])}" for unit in UNITS]
    ratio = f", which is {format_ratio(found.ratio)} times the CPU time" if found.ratio.is_known else ""
    return f"{join_words(parts)} than {format_code(sweep.base)} ({found.condition}){ratio}"


def _signed(value: Estimate) -> str:
    return f"{format_number(abs(value.value))} µs {'less' if value.value < 0 else 'more'} CPU time"


def _article(unit: str) -> str:
    return f"an {unit}" if unit == "RPC" else f"a {unit}"


def _bracket(value: Estimate) -> str:
    ends = format_interval(value)
    return f" (95 % interval of the difference {ends})" if ends else ""


def _counted(sweep: Sweep, version: str) -> pd.DataFrame:
    """Give the pairs of a version with the deliveries and RPCs of each."""
    paired = pair_version(sweep, version, _CPU)
    runs = sweep.of(version)
    rpcs = runs["rand msgs/rpcs"] if "rand msgs/rpcs" in runs else runs["hosts"] * float("nan")
    counts = runs[[*CELL, "session", "repeat"]].assign(rpcs=rpcs)
    return paired.merge(counts, on=[*CELL, "session", "repeat"], how="left", validate="one_to_one")


def _divided(paired: pd.DataFrame, unit: str) -> pd.DataFrame:
    deliveries = paired["messages"] * paired["hosts"]
    amounts = {"message": paired["messages"], "delivery": deliveries, "RPC": paired["rpcs"]}
    each = paired.assign(each=paired["difference"] * _US_PER_MS / amounts[unit])
    return each.dropna(subset="each")


def _base_per_rpc(sweep: Sweep) -> float:
    runs = sweep.of(sweep.base)
    each = runs[[*CELL, "session"]].assign(value=_PER_RPC.of(runs)).dropna(subset="value")
    values, sessions = each["value"].to_numpy(), each["session"].to_numpy()
    cells = [estimate_center(values[rows], sessions[rows]).value for _, rows in divide_by_cell(each)]
    return sum(cells) / len(cells) if cells else float("nan")


def _cells(sweep: Sweep) -> str:
    return ", ".join(f"{hosts:,}" for hosts in sweep.hosts)


def _choose(amounts: list[Amount], **wanted: str) -> Amount | None:
    """Give the amount under a condition with these parameters that differs least from the main one in the others."""
    main = amounts[0].sweep.conditions() if amounts else {}

    def differences(found: Amount) -> int:
        own = found.sweep.conditions()
        return sum(own[name] != main[name] for name in CONDITION if name not in wanted)

    fitting = [
        found
        for found in amounts
        if all(found.sweep.conditions()[name] == value for name, value in wanted.items()) and found.each["RPC"].is_known
    ]
    return min(fitting, key=differences, default=None)


def _estimate_in_cell(amount: Amount, cell: tuple[int, int]) -> Estimate:
    """Give the amount for an RPC in one cell only."""
    paired = _counted(amount.sweep, amount.version)
    own = paired.loc[(paired["hosts"] == cell[0]) & (paired["messages"] == cell[1])]
    return estimate_mean(_divided(own, "RPC"), "each")


def _share(amount: Amount, node: str, per_rpc: float, more: Estimate | None = None) -> Share:
    more, scale = more or amount.each["RPC"], 100 / per_rpc
    percent = Estimate(more.value * scale, more.low * scale, more.high * scale, more.observations)
    return Share(amount, node, per_rpc, percent)
