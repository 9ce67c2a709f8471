"""The check that the runs of a pair did the same work. If not, their times are not comparable, and all of them are failures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pubsub_sim.results import RUN, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pubsub_sim.results import RunParameters, RunRecord


def unequal(records: Sequence[RunRecord]) -> dict[RunParameters, str]:
    """Find the runs whose work was not what it had to be.

    Only runs with the barrier are looked at: without it the number of connections depends on single turns of the
    event loop. RPC counts are compared for floodsub in memory, where nothing but the seed decides about them. What a
    program of others does not tell is not compared.

    Args:
        records: the runs of one pair; those that are not ok take no part.

    Returns:
        Run to one sentence; empty if all is well.
    """
    ok = [record for record in records if record.outcome == "ok" and record.parameters.barrier]
    wrong: dict[RunParameters, str] = {}
    for record in ok:
        hosts = record.parameters.hosts
        expected, found = hosts * (hosts - 1) // 2, record.value(RUN, "connections")
        if found is not None and found != expected:
            wrong[record.parameters] = (
                f"unequal work: {hosts} hosts must have {expected} connections, this run had {found}"
            )
    compared = [record for record in ok if record.parameters not in wrong and _is_comparable(record)]
    compared = [record for record in compared if record.value(RUN, "rpcs") is not None]
    counts = {_name(record): record.value(RUN, "rpcs") for record in compared}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        wrong |= dict.fromkeys(
            [record.parameters for record in compared],
            f"unequal work: the runs of a pair sent different numbers of RPCs ({told})",
        )
    return wrong


def as_failed(record: RunRecord, sentence: str) -> RunRecord:
    """Give the same run, numbers kept, as a failed one."""
    rows = tuple(Row(RUN, "failures", 1) if row[:2] == (RUN, "failures") else row for row in record.rows)
    return replace(record, outcome="failed", error=sentence, rows=rows)


def _is_comparable(record: RunRecord) -> bool:
    return record.parameters.transport == "memory" and record.parameters.router == "floodsub"


def _name(record: RunRecord) -> str:
    kind = record.parameters.kind
    return record.parameters.version if kind == "timing" else f"{record.parameters.version} ({kind})"
