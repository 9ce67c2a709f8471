"""What a version costs more for a message, a delivery and an RPC, under every condition of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub_sim.report import amounts, summary
from pubsub_sim.report.display import Absent, Picture, Table
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import RPCS, write_sweep

pytestmark = pytest.mark.xdist_group("amounts")

CONDITIONS = [{"sign": "none"}, {"transport": "libp2p"}, {"router": "gossipsub", "sign": "none"}, {"loop": "asyncio"}]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """`states` costs 20 % more under five conditions, in three sessions."""
    folder = tmp_path_factory.mktemp("amounts") / "sweep"
    return Sweep.load(write_sweep(folder, sessions=3, repeats=2, control=False, beside=CONDITIONS))


def test_amounts_are_the_difference_over_what_there_is_of_each(sweep: Sweep) -> None:
    """5 hosts take 25 us a message at cost 1: 5 us more, 1 us for a delivery; RPCs are counted in each run."""
    main = amounts.list_amounts(sweep, "states")[0]
    per_message = {5: 5.0, 10: 20.0}
    assert main.each["message"].value == pytest.approx(sum(per_message.values()) / 2, rel=0.02)
    assert main.each["delivery"].value == pytest.approx((5 / 5 + 20 / 10) / 2, rel=0.02)
    rpcs = [per_message[hosts] * messages / RPCS for hosts in (5, 10) for messages in (20, 60)]
    assert main.each["RPC"].value == pytest.approx(sum(rpcs) / 4, rel=0.02)
    assert main.each["message"].has_interval
    assert main.ratio.value == pytest.approx(1.2, rel=1e-3)


def test_every_condition_has_its_row_the_main_one_first(sweep: Sweep) -> None:
    """The main condition is the one with most runs; the others have the cells that they were measured in."""
    table = amounts.tabulate(sweep)
    assert isinstance(table, Table)
    assert list(table.columns[:2]) == ["condition", "hosts"]
    assert [row[0] for row in table.rows] == [
        "signed, floodsub, in memory, uvloop",
        "unsigned, floodsub, in memory, uvloop",
        "signed, floodsub, in memory, asyncio",
        "signed, floodsub, over TCP with Noise and yamux, uvloop",
        "unsigned, gossipsub, in memory, uvloop",
    ]
    assert [row[1] for row in table.rows] == ["5, 10", "5", "5", "5", "5"]


def test_hosts_that_are_the_same_everywhere_stand_in_the_sentence_alone(tmp_path: Path) -> None:
    """A column whose rows are all alike is left out of the table."""
    alone = Sweep.load(write_sweep(tmp_path))
    table = amounts.tabulate(alone)
    assert isinstance(table, Table)
    assert list(table.columns[:2]) == ["condition", "µs per message"]
    assert len(table.rows[0]) == len(table.columns)
    assert "of 5 and 10 hosts" in amounts.describe(alone).markdown


def test_first_sentence_holds_amounts_signed_and_unsigned_with_their_conditions(sweep: Sweep) -> None:
    """Amounts before ratios, and every ratio beside its condition; other loops and networks are left to the table."""
    said = amounts.describe(sweep).markdown
    assert said.startswith("`states` takes **")
    for words in ("for a message", "for a delivery", "for an RPC", "(signed, floodsub", "(unsigned, floodsub"):
        assert words in said
    assert said.count(" times the CPU time") == 2
    assert "asyncio" not in said
    assert "gossipsub" not in said


def test_figure_has_a_row_for_each_condition(sweep: Sweep, tmp_path: Path) -> None:
    """Amounts and ratios side by side; of a single condition there is no figure."""
    shown = amounts.draw(sweep)
    assert isinstance(shown, Picture)
    assert shown.name == "amounts"
    assert isinstance(amounts.draw(Sweep.load(write_sweep(tmp_path, repeats=1))), Absent)


def test_share_is_of_the_work_of_nodes_that_were_measured(sweep: Sweep) -> None:
    """An unsigned relay and a node with Noise and yamux: a fifth of both, as they are the base here."""
    shares = amounts.list_shares(sweep, "states")
    assert [share.percent.value for share in shares] == pytest.approx([20, 20], rel=0.02)
    said = amounts.describe_shares(sweep).markdown
    assert "unsigned relay" in said
    assert "Noise and yamux" in said


def test_share_of_go_is_of_its_stored_runs(tmp_path: Path) -> None:
    """go-libp2p's CPU time for an RPC, from the runs beside comparators, and marked as what it is."""
    folder = write_sweep(tmp_path, hosts=(5,), repeats=2, field={"go-libp2p": 10.0}, programs=["go-libp2p"])
    (share,) = amounts.list_shares(Sweep.load(folder), "states")
    assert "`go-libp2p` with Noise and yamux" in share.node
    assert share.per_rpc == pytest.approx(12.5 * 25 * 20 / RPCS, rel=0.05)


def test_sweep_of_one_version_has_no_amount(tmp_path: Path) -> None:
    """Nothing is compared, so the section is left out."""
    alone = Sweep.load(write_sweep(tmp_path, costs={"baseline": 1.0}, control=False))
    assert isinstance(amounts.describe(alone), Absent)
    assert isinstance(amounts.tabulate(alone), Absent)
    assert isinstance(amounts.describe_shares(alone), Absent)


def test_a_version_that_takes_less_is_said_to(tmp_path: Path) -> None:
    """The sign is a word, and the interval is that of the difference."""
    cheaper = Sweep.load(write_sweep(tmp_path, costs={"baseline": 1.0, "states": 0.9}, repeats=4))
    assert "µs less CPU time for a message**" in amounts.describe(cheaper).markdown


def test_summary_holds_every_amount(sweep: Sweep) -> None:
    """Three amounts, a ratio and the base's own time under each of five conditions, and two shares."""
    found = summary.summarise(sweep)["amounts_more"]
    assert len(found) == 5 * 5 + 2
    first = found[0]
    assert (first["per"], first["sign"], first["unit"]) == ("message", "strict", "µs")
    assert first["interval"][0] < first["value"] < first["interval"][1]
