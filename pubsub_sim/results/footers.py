"""Merging of file footers: distinct values, and the range of facts that differ in every run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pubsub_sim.results.record import PAIR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SPANS = ("load_average", "utc")
"""Facts that differ in every run: only minimum and maximum are kept."""

RESUME = ("schema", "sources", "python", "uvloop", "cpu")
"""Facts that must be unchanged for a stored run to be reused."""

APART = "apart"
"""Fact of packed runs: for each run whose pair was not measured together, its own pair by file name."""

OF_RUNS = (PAIR, APART)
"""Facts of single runs that are not facts of a sweep."""

PACKED = "packed"
"""Marker of merged provenance, in which each value is a list."""


def merge(provenances: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Reduce the provenance of many files to the distinct values.

    Args:
        provenances: of single runs (plain values) or of packed files (lists, marked by PACKED).

    Returns:
        Distinct values by fact, in a fixed order; for the facts in SPANS minimum and maximum.
    """
    values: dict[str, dict[str, Any]] = {}
    for provenance in provenances:
        merged = bool(provenance.get(PACKED))
        for name, value in provenance.items():
            if name != PACKED and name not in OF_RUNS:
                for one in value if merged else [value]:
                    values.setdefault(name, {})[json.dumps(one, sort_keys=True)] = one
    result = {}
    for name, distinct in sorted(values.items()):
        if name in SPANS:
            result[name] = [min(distinct.values()), max(distinct.values())]
        else:
            result[name] = [distinct[text] for text in sorted(distinct)]
    return result


def same_ground(stored: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether runs were measured with the current code, interpreter, loop and processor; for packed runs, all of them."""
    is_packed = bool(stored.get(PACKED))
    return all(stored.get(name) == ([now.get(name)] if is_packed else now.get(name)) for name in RESUME)
