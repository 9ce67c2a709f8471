"""Comparators: CPU time per RPC, ratios to references, and who has no interval."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub_sim.report import comparators, provenance_tables, summary
from pubsub_sim.report.display import Absent, Several, Table
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

pytestmark = pytest.mark.xdist_group("comparators")

DASH = "\N{EN DASH}"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two versions, a lower bound of half the cost, and another implementation of ten times; three repeats."""
    folder = tmp_path_factory.mktemp("sweeps") / "mine"
    return Sweep.load(write_sweep(folder, field={"lower-bound": 0.5, "another": 10.0}, programs=["another"]))


def test_every_version_is_divided_by_the_reference(sweep: Sweep) -> None:
    """A row per condition: the reference's time per RPC, then ratios, our own versions first; stored names are mapped."""
    table = comparators.tabulate(sweep, "lower-bound")
    assert isinstance(table, Table)
    assert [column.partition(",")[0] for column in table.columns[5:]] == [
        "lower bound",
        "`baseline`",
        "`states`",
        "`another`",
    ]
    for row in table.rows:
        theirs = "20.0" if row[2] == "uvloop" and row[4] == "tcp" else DASH
        assert row[6:] == ["2.00", "2.40", theirs]
        assert row[5].startswith("0.312" if row[4] == "tcp" else "0.25")


def test_fewer_than_ten_runs_give_no_interval(sweep: Sweep, tmp_path: Path) -> None:
    """A bootstrap of three values is too narrow; of ten it is given."""
    assert not comparators.list_conditions(sweep)[0].ratio("states", "lower-bound").has_interval
    more = Sweep.load(
        write_sweep(tmp_path, hosts=(5,), messages=(20,), repeats=10, control=False, field={"lower-bound": 0.5})
    )
    assert comparators.list_conditions(more)[0].ratio("states", "lower-bound").has_interval
    assert comparators.list_conditions(more)[0].per_rpc("lower-bound").has_interval
    assert "no interval" in comparators.describe(sweep).markdown
    assert "no interval" not in comparators.describe(more).markdown


def test_the_transports_of_a_condition_are_neighbours(sweep: Sweep) -> None:
    """Memory first, then sockets, for each loop and signing."""
    table = comparators.tabulate(sweep, "lower-bound")
    assert isinstance(table, Table)
    assert [row[2:5] for row in table.rows] == [
        [loop, sign, transport]
        for loop in ("asyncio", "uvloop")
        for sign in ("none", "strict")
        for transport in ("memory", "tcp")
    ]


def test_comparators_mix_with_nothing_else(sweep: Sweep) -> None:
    """Other loops and signings are no mixed conditions, and neither versions nor medians of the sweep hold them."""
    assert sweep.versions == ("baseline", "states")
    assert len(sweep.runs) == 24
    assert len(sweep.field) == (8 * 3 + 2 + 2 * 2) * 3
    assert sweep.conditions()["loop"] == "uvloop"
    facts = dict(tuple(row) for row in provenance_tables.tabulate_provenance(sweep).rows)
    assert "90 beside comparators" in facts["runs"]


def test_summary_holds_the_comparators(sweep: Sweep) -> None:
    """Another program finds each condition's time per RPC with its unit, and the ratio to the lower bound."""
    found = [entry for entry in summary.summarise(sweep)["comparators"] if entry["version"] == "another"]
    assert [(entry["loop"], entry["transport"]) for entry in found] == [("uvloop", "tcp")] * 2
    assert [entry["over_lower_bound"]["value"] for entry in found] == pytest.approx([20, 20])
    assert {(entry["unit"], entry["hosts"], entry["messages"]) for entry in found} == {("µs", 5, 20)}


def test_sweep_without_comparators_says_so(tmp_path: Path, sweep: Sweep) -> None:
    """No empty table; the same for a reference that was not run."""
    without = Sweep.load(write_sweep(tmp_path / "without"))
    assert isinstance(comparators.tabulate(without, "lower-bound"), Absent)
    assert isinstance(comparators.tabulate(sweep, "direct"), Absent)
    assert isinstance(comparators.describe(without), Absent)
    assert isinstance(comparators.show_largest(without), Absent)
    assert isinstance(comparators.tabulate_comparators(without), Absent)
    assert isinstance(comparators.show_encrypted(without), Absent)


def test_the_largest_cell_has_a_column_per_condition(sweep: Sweep) -> None:
    """Times only: ratios of all conditions are in the appendix."""
    shown = comparators.show_largest(sweep)
    assert isinstance(shown, Several)
    (times,) = (part for part in shown.parts if isinstance(part, Table))
    assert list(times.columns[1:]) == ["memory, signed", "memory, unsigned", "TCP, signed", "TCP, unsigned"]
    assert [row[0] for row in times.rows] == ["lower bound", "`baseline`", "`states`", "`another`"]
    assert times.rows[3][1:] == [DASH, DASH, "6.25", "6.25"]


def test_everybody_says_what_else_they_do(sweep: Sweep) -> None:
    """A row for each that stands beside the versions: what it is, and what a ratio to it also holds."""
    table = comparators.tabulate_comparators(sweep)
    assert isinstance(table, Table)
    assert table.rows == [
        ["lower bound", "the lower-bound one", DASH],
        ["`another`", "the another one", "encrypts; multiplexes"],
    ]


def test_nodes_that_encrypt_stand_side_by_side(tmp_path: Path) -> None:
    """Versions over libp2p beside programs that encrypt and multiplex: for an RPC and a message, CPU and wall-clock time."""
    folder = write_sweep(tmp_path, field={"lower-bound": 0.5, "another": 10.0}, programs=["another"])
    sweep = Sweep.load(folder)
    shown = comparators.show_encrypted(sweep)
    assert isinstance(shown, Several)
    (table,) = (part for part in shown.parts if isinstance(part, Table))
    names = ["`baseline`", "`states`", "`another`"]
    assert [row[:2] for row in table.rows] == [[name, sign] for sign in ("signed", "unsigned") for name in names]
    found = {(one.version, one.sign): one for one in comparators.list_encrypted(sweep)}
    for sign in ("strict", "none"):
        own, theirs = found["states", sign], found["another", sign]
        assert own.cpu_per_rpc.value / found["baseline", sign].cpu_per_rpc.value == pytest.approx(1.2, rel=0.02)
        assert theirs.cpu_per_message.value > own.cpu_per_message.value
        assert not theirs.cpu_per_rpc.has_interval
        assert own.over == "another"
        assert own.ratio.value == pytest.approx(1.2 * 1.5 / (10 * 1.25), rel=0.02)
        assert not theirs.ratio.is_known
    entries = summary.summarise(sweep)["encrypted_nodes"]
    assert {(entry["version"], entry["sign"]) for entry in entries} == set(found)
    assert {(entry["quantity"], entry.get("per")) for entry in entries} >= {
        ("cpu", "RPC"),
        ("cpu", "message"),
        ("cpu ratio", None),
    }
