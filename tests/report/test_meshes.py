"""The part of the report on large meshes: verdicts with reasons, the law of copies, growth; nothing without runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pubsub_sim.report import meshes
from pubsub_sim.report.display import Absent, Picture, Table
from pubsub_sim.results.meshes import MeshRun
from tests.results.test_meshes import RUN

SEEDS = (RUN, replace(RUN, seed=2, sent=6100, iwant=30))


def at(hosts: int, version: str = "baseline") -> MeshRun:
    """A run whose time grows with the square of the hosts, and whose memory does with the hosts."""
    return replace(RUN, version=version, hosts=hosts, messages=60, cpu_ns=1000 * hosts**2, peak_rss_bytes=hosts << 20)


def test_each_part_is_left_out_without_runs() -> None:
    """A report then has no section of it."""
    for part in (meshes.describe, meshes.tabulate, meshes.tabulate_law, meshes.draw_growth):
        assert isinstance(part(()), Absent)
    assert meshes.summarise(()) is None


def test_every_figure_has_its_verdict_and_one_that_is_outside_its_reason() -> None:
    """10 figures of one published run."""
    table = meshes.tabulate(SEEDS)
    assert isinstance(table, Table)
    assert len(table.rows) == 10
    assert ["100", "messages sent", "6,280", "6,271", "[6,100, 6,442]", "inside"] in [list(row) for row in table.rows]
    said = meshes.describe(SEEDS).markdown
    assert f"IWANT is outside at 100 hosts: {meshes.REASONS['IWANT']}." in said
    assert "2 seeds" in said
    assert "33 %" in said


def test_copies_stand_beside_the_degree_less_one() -> None:
    """The mean over seeds, and the farthest seed."""
    table = meshes.tabulate_law(SEEDS)
    assert isinstance(table, Table)
    assert [list(row) for row in table.rows] == [["100", "2", "6.271", "6.440", "5.3 %", "0"]]


def test_growth_is_a_power_of_the_hosts() -> None:
    """Fitted for each version; a single number of hosts has no growth."""
    runs = tuple(at(hosts, version) for version in ("baseline", "states") for hosts in (1000, 2000, 4000))
    found = {(one.title, one.version): one.exponent for one in meshes.growth(runs)}
    assert found["CPU time (s)", "states"] == pytest.approx(2)
    assert found["peak memory (MiB)", "baseline"] == pytest.approx(1)
    assert isinstance(meshes.draw_growth(runs), Picture)
    assert meshes.growth((RUN,)) == []


def test_the_summary_holds_every_number() -> None:
    """Verdicts, the law and the exponents."""
    found = meshes.summarise((*SEEDS, at(1000), at(2000)))
    assert found is not None
    assert {entry["verdict"] for entry in found["compared"]} >= {"inside", "outside"}
    assert found["law"][0]["copies"] == 6.271
    assert [entry["figure"] for entry in found["growth"]] == ["CPU time (s)", "peak memory (MiB)", "RPCs"]
