"""The field: ratios to yardsticks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub_sim.report import field, origins, summary
from pubsub_sim.report.show import Absent, Table
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

pytestmark = pytest.mark.xdist_group("field")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two versions, a floor of half the cost, and somebody else's implementation of ten times."""
    folder = tmp_path_factory.mktemp("sweeps") / "mine"
    return Sweep.load(write_sweep(folder, field={"floor": 0.5, "another": 10.0}, programs=["another"]))


def test_everybody_stands_beside_the_floor(sweep: Sweep) -> None:
    """A row per condition: the floor's time per RPC, then ratios with intervals, our own versions first."""
    table = field.beside(sweep, "floor")
    assert isinstance(table, Table)
    assert list(table.columns[5:]) == ["`floor`, µs per RPC", "`baseline`", "`states`", "`another`"]
    low_high = "({0}\N{EN DASH}{0})"
    ours = [f"{r} {low_high.format(r)}" for r in ("2.00", "2.40")]
    for row in table.rows:
        theirs = f"20.0 {low_high.format('20.0')}" if row[2] == "uvloop" and row[4] == "tcp" else "\N{EN DASH}"
        assert row[6:] == [*ours, theirs]
        assert row[5].startswith("0.312" if row[4] == "tcp" else "0.25")


def test_sockets_stand_beside_memory(sweep: Sweep) -> None:
    """The two transports of a condition are rows next to each other."""
    table = field.beside(sweep, "floor")
    assert isinstance(table, Table)
    assert [row[2:5] for row in table.rows] == [
        ["asyncio", "none", "memory"],
        ["asyncio", "none", "tcp"],
        ["asyncio", "strict", "memory"],
        ["asyncio", "strict", "tcp"],
        ["uvloop", "none", "memory"],
        ["uvloop", "none", "tcp"],
        ["uvloop", "strict", "memory"],
        ["uvloop", "strict", "tcp"],
    ]


def test_field_mixes_with_nothing_else(sweep: Sweep) -> None:
    """Other loops and signings are no mixed conditions, and neither versions nor medians of the sweep know of the field."""
    assert sweep.versions == ("baseline", "states")
    assert len(sweep.runs) == 24
    assert len(sweep.field) == (8 * 3 + 2) * 3
    assert sweep.conditions()["loop"] == "uvloop"
    assert dict(tuple(row) for row in origins.provenance(sweep).rows)["runs"].endswith(", 78 beside yardsticks")


def test_summary_holds_the_field(sweep: Sweep) -> None:
    """Another program finds each condition's time per RPC with its unit, and the ratio to the floor."""
    found = [entry for entry in summary.summarise(sweep)["field"] if entry["version"] == "another"]
    assert [(entry["loop"], entry["transport"]) for entry in found] == [("uvloop", "tcp")] * 2
    assert [entry["over_floor"]["value"] for entry in found] == pytest.approx([20, 20])
    assert {(entry["unit"], entry["hosts"], entry["messages"]) for entry in found} == {("µs", 5, 20)}


def test_sweep_without_a_field_says_so(tmp_path: Path, sweep: Sweep) -> None:
    """No empty table; the same for a yardstick that was not run."""
    without = Sweep.load(write_sweep(tmp_path / "without"))
    assert field.beside(without, "floor") == Absent("This sweep has no runs of `floor`.")
    assert field.beside(sweep, "direct") == Absent("This sweep has no runs of `direct`.")
    assert field.in_words(without) == Absent("This sweep has no runs beside comparators.")
    assert field.who(without) == Absent("This sweep has no comparators.")


def test_costs_are_said_in_words(sweep: Sweep) -> None:
    """A paragraph per transport with numbers of the runs; who was not run there is not in it."""
    first, memory, tcp = field.in_words(sweep).markdown.split("\n\n")
    assert first == "0 of the 78 runs of the field failed."
    assert memory.startswith("In memory, with 5 hosts and 20 messages, signed, on uvloop: an RPC costs `floor` 0.25")
    assert tcp.startswith(
        "Over loopback TCP, with 5 hosts and 20 messages, signed, on uvloop: an RPC costs `floor` 0.312"
    )
    assert "`baseline` 2.00 times as much" in memory
    assert "`another`" not in memory
    assert "`another` 20.0 times as much (6.25 µs)" in tcp


def test_everybody_says_what_else_they_do(sweep: Sweep) -> None:
    """A row for each that stands beside the versions: what it is, and what a ratio to it also holds."""
    table = field.who(sweep)
    assert isinstance(table, Table)
    assert table.rows == [
        ["`floor`", "the floor one", "\N{EN DASH}"],
        ["`another`", "the another one", "encrypts; multiplexes"],
    ]
