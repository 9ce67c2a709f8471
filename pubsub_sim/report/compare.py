"""The command `compare`: two sweeps beside each other, cell by cell and over all of them, and in what their conditions differ.

The two were measured apart, so nothing is paired across them. What is compared are their own paired ratios and differences:
each session is one observation, or each repeat in a sweep of one session.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pubsub_sim.report.command import make_parser
from pubsub_sim.report.display import Table
from pubsub_sim.report.errors import NothingInCommonError
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_estimate,
    format_ratio,
    to_json,
)
from pubsub_sim.report.options import ReportOptions
from pubsub_sim.report.provenance_tables import FACTS
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import has_sessions, pair_version, tabulate_sessions
from pubsub_sim.report.sweep import CELL, CONDITION, FIXED, Sweep
from pubsub_sim.results.footers import SPANS
from pubsub_sim.results.intervals import (
    Estimate,
    balanced_means,
    difference_of_means,
    mean_of_sessions,
    quotient_of_means,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_CPU = QUANTITIES["cpu"]
_US_PER_MS = 1000
_OWN = (*SPANS, "layout", "environment", "schema")
"""Facts that differ between any two sweeps, or say nothing about the machine."""


@dataclass(frozen=True)
class Comparison:
    """One number of two sweeps.

    Attributes:
        quantity: name of a quantity, or "amount": what a message takes more, in us of CPU time.
        version: which version is compared with the base.
        condition: parameters that make the condition.
        cell: hosts and messages; None for all cells that both sweeps have.
        one: the number in the first sweep, with a t interval.
        other: the same in the second.
        quotient: the second as a multiple of the first.
        difference: of an amount, the second less the first; None for a ratio.
    """

    quantity: str
    version: str
    condition: Mapping[str, str]
    cell: tuple[int, int] | None
    one: Estimate
    other: Estimate
    quotient: Estimate
    difference: Estimate | None


def compare_command(arguments: Sequence[str]) -> int:
    """Compare two sweeps and print it.

    Returns:
        0.

    Raises:
        CommandLineError: the words cannot be read.
        NothingInCommonError: there is nothing to compare.
        OptionError: there is no such sweep.
        ResultsError: the runs cannot be read.
    """
    parser = make_parser("compare", "Compare two sweeps.")
    for name in ("one", "other"):
        parser.add_argument(name, help="a folder with runs below data/raw, or an absolute one")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    given = parser.parse_args(arguments)
    one, other = (Sweep.load(ReportOptions(sweep=name, reference="").folder) for name in (given.one, given.other))
    sys.stdout.write(f"{write_json(one, other) if given.json else write_text(one, other)}\n")
    return 0


def compare(one: Sweep, other: Sweep) -> list[Comparison]:
    """Compare what two sweeps say of the cells, conditions and versions that both have.

    Raises:
        NothingInCommonError: there are none.
    """
    found = [entry for both in _conditions(one, other) for entry in _compare_condition(*both)]
    if not found:
        raise NothingInCommonError(one.name, other.name)
    return found


def list_differences(one: Sweep, other: Sweep) -> dict[str, tuple[str, str]]:
    """Give the facts and conditions in which two sweeps differ, in the words of the report."""
    found = {}
    names = sorted((set(one.provenance) | set(other.provenance)) - set(_OWN))
    for name in names:
        values = [_words(sweep.provenance.get(name, [])) for sweep in (one, other)]
        if values[0] != values[1]:
            found[FACTS.get(name, name)] = (values[0], values[1])
    told = (
        *((name, tuple(sweep.conditions().get(name, NOTHING) for sweep in (one, other))) for name in FIXED),
        ("sessions", tuple(f"{len(sweep.sessions):,}" for sweep in (one, other))),
        ("timed runs", tuple(f"{len(sweep.runs) + len(sweep.controls):,}" for sweep in (one, other))),
        ("cells", tuple(_cells(sweep) for sweep in (one, other))),
        ("conditions", tuple("; ".join(_name(part) for part in (sweep, *sweep.beside)) for sweep in (one, other))),
    )
    return found | {name: (values[0], values[1]) for name, values in told if values[0] != values[1]}


def write_json(one: Sweep, other: Sweep) -> str:
    """Give the comparison as JSON: the sweeps' names, what differs, and every number with its intervals."""
    entries = [
        {"quantity": entry.quantity, "version": entry.version, **entry.condition}
        | {"hosts": entry.cell[0] if entry.cell else None, "messages": entry.cell[1] if entry.cell else None}
        | {"unit": "µs per message" if entry.difference else "1"}
        | {"one": to_json(entry.one), "other": to_json(entry.other), "quotient": to_json(entry.quotient)}
        | ({"difference": to_json(entry.difference)} if entry.difference else {})
        for entry in compare(one, other)
    ]
    differences = {name: list(values) for name, values in list_differences(one, other).items()}
    whole = {"one": one.name, "other": other.name, "differences": differences, "comparisons": entries}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)


def write_text(one: Sweep, other: Sweep) -> str:
    """Give the comparison as text: what differs, then a table for each condition, version and quantity."""
    entries = compare(one, other)
    differences = list_differences(one, other)
    rows = [[name, *values] for name, values in differences.items()]
    lines = [
        f"{one.name} and {other.name}: {count_things(len(differences), 'difference')} in machine and conditions",
        "",
    ]
    if rows:
        lines += [Table(["what", one.name, other.name], rows, words=3).text(), ""]
    for title, own in _grouped(entries):
        lines += [title, _tabulate(own, one, other).text(), ""]
    lines.append(_describe_intervals(one, other))
    return "\n".join(lines)


def _conditions(one: Sweep, other: Sweep) -> Iterator[tuple[Sweep, Sweep]]:
    theirs = {_name(part): part for part in (other, *other.beside)}
    for part in (one, *one.beside):
        if _name(part) in theirs and part.versions:
            yield part, theirs[_name(part)]


def _name(sweep: Sweep) -> str:
    found = sweep.conditions()
    return " ".join(f"{name}={found.get(name, NOTHING)}" for name in CONDITION)


def _compare_condition(one: Sweep, other: Sweep) -> Iterator[Comparison]:
    if one.base != other.base:
        return
    for version in one.others:
        if version in other.others:
            for name in HEADLINE:
                pairs = [pair_version(sweep, version, QUANTITIES[name]) for sweep in (one, other)]
                yield from _compare_pairs(one, version, name, pairs, "log_ratio")
            pairs = [_per_message(pair_version(sweep, version, _CPU)) for sweep in (one, other)]
            yield from _compare_pairs(one, version, "amount", pairs, "each")


def _per_message(paired: pd.DataFrame) -> pd.DataFrame:
    return paired.assign(each=paired["difference"] * _US_PER_MS / paired["messages"])


def _compare_pairs(
    sweep: Sweep, version: str, name: str, pairs: Sequence[pd.DataFrame], column: str
) -> Iterator[Comparison]:
    cells = [set(zip(rows["hosts"].tolist(), rows["messages"].tolist(), strict=True)) for rows in pairs]
    shared = sorted(cells[0] & cells[1])
    own = sweep.conditions()
    condition = {key: own[key] for key in CONDITION}
    for cell in (None, *shared) if shared else ():
        chosen = [_choose(rows, shared if cell is None else [cell]) for rows in pairs]
        ones, others = (_observations(rows, column) for rows in chosen)
        means = [mean_of_sessions(values) for values in (ones, others)]
        if column == "each":
            quotient, difference = quotient_of_means(ones, others), difference_of_means(ones, others)
            yield Comparison(name, version, condition, cell, means[0], means[1], quotient, difference)
        else:
            quotient = difference_of_means(ones, others).exp()
            yield Comparison(name, version, condition, cell, means[0].exp(), means[1].exp(), quotient, None)


def _choose(paired: pd.DataFrame, cells: Sequence[tuple[int, int]]) -> pd.DataFrame:
    return paired.loc[pd.MultiIndex.from_frame(paired[CELL]).isin(cells)]


def _observations(paired: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Give one number for each session, or for each repeat of one session: a mean over the cells."""
    rows = paired if has_sessions(paired) else paired.assign(session=paired["repeat"])
    return balanced_means(tabulate_sessions(rows, column))


def _grouped(entries: Sequence[Comparison]) -> Iterator[tuple[str, list[Comparison]]]:
    groups: dict[str, list[Comparison]] = {}
    for entry in entries:
        what = "µs of CPU time more per message" if entry.quantity == "amount" else f"ratio, {_title(entry.quantity)}"
        place = " ".join(f"{name}={value}" for name, value in entry.condition.items())
        groups.setdefault(f"{entry.version}, {what} ({place})", []).append(entry)
    yield from groups.items()


def _title(name: str) -> str:
    return QUANTITIES[name].title.replace("`", "")


def _tabulate(entries: Sequence[Comparison], one: Sweep, other: Sweep) -> Table:
    rows = []
    is_amount = entries[0].quantity == "amount"
    for entry in entries:
        shown = format_estimate if is_amount else format_ratio
        row = [*(map(str, entry.cell) if entry.cell else ("all", "all")), shown(entry.one), shown(entry.other)]
        row.append(format_ratio(entry.quotient) if entry.quotient.is_known else NOTHING)
        rows.append(row + ([format_estimate(entry.difference)] if entry.difference else []))
    columns = ["hosts", "messages", one.name, other.name, "second / first", *(["second - first"] * is_amount)]
    return Table(columns, rows, words=0)


def _describe_intervals(one: Sweep, other: Sweep) -> str:
    of = [
        "sessions" if len(sweep.sessions) > 1 else "repeats of one session, which its interval covers alone"
        for sweep in (one, other)
    ]
    return (
        f"In brackets are 95 % intervals, of {one.name} over {of[0]} and of {other.name} over {of[1]}. Quotients of amounts have "
        "none where the interval of the first holds 0."
    )


def _cells(sweep: Sweep) -> str:
    return ", ".join(f"{hosts}x{messages}" for hosts, messages in sweep.cells)


def _words(values: Any) -> str:
    found = values if isinstance(values, list) else [values]
    return ", ".join(sorted({str(value) for value in found})) or NOTHING
