"""The network at a moment: snapshots, the page with its slider, the still picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("bokeh")

from pubsub_sim import run
from pubsub_sim.simulator.network_page import NetworkView, places
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import Simulation
from pubsub_sim.simulator.snapshots import Links, Snapshots, links_from

FEW = (
    Links(0.0, ("sim-p0",), frozenset(), {}),
    Links(5.0, ("sim-p0", "sim-p1"), frozenset({("sim-p0", "sim-p1")}), {"t-a-0": frozenset({("sim-p0", "sim-p1")})}),
    Links(10.0, ("sim-p1", "sim-p10"), frozenset(), {"t-a-0": frozenset()}),
)


def test_snapshots_are_what_the_nodes_know_and_survive_as_rows() -> None:
    """Every so many seconds the network is taken; rows give it back as it was, empty meshes left out."""
    snapshots = Snapshots(10.0)
    sim = Simulation(SimOptions(duration="35s", peers=6, topics=3), on_metrics=snapshots.take)
    run(sim.run(), clock="virtual", seed=1)
    assert [round(links.time_s) for links in snapshots.taken] == [0, 10, 20, 30]
    last = snapshots.taken[-1]
    assert last.connections
    assert all(pairs <= last.connections for pairs in last.meshes.values())
    back = links_from(snapshots.rows())
    assert [(links.time_s, links.peers, links.connections) for links in back] == [
        (links.time_s, links.peers, links.connections) for links in snapshots.taken if links.peers
    ]
    assert back[-1].meshes == {topic: pairs for topic, pairs in last.meshes.items() if pairs}


def test_a_peer_has_one_place_for_the_whole_run() -> None:
    """Also after others came and went; places go by number."""
    assert list(places(FEW)) == ["sim-p0", "sim-p1", "sim-p10"]


@pytest.mark.parametrize(("moment", "title"), [(0, "0 s, 1 peers"), (7, "5 s, 2 peers"), (99, "10 s, 2 peers")])
def test_the_latest_network_until_the_moment_is_shown(moment: float, title: str) -> None:
    """In the page before anybody moves the slider."""
    page = NetworkView({"states": FEW}, moment).html()
    assert f"states: {title}" in page


def test_the_page_is_self_contained_and_the_same_each_time() -> None:
    """It loads nothing, and numbers its parts anew although Bokeh goes on counting; so does the picture."""
    views = [NetworkView({"states": FEW, "baseline": FEW}, 5) for _ in range(2)]
    assert views[0].html() == views[1].html()
    assert views[0].svg() == views[1].svg()
    assert "default-src 'none'" in views[0].html()
    assert not re.search(r"<(?:script|link)\b[^<>]*\b(?:src|href)=", views[0].html())
    forms, metadata = views[0]._repr_mimebundle_()
    assert forms["text/html"].startswith("<iframe ")
    assert metadata["filename"] == "network"
    assert "t-a-0" in forms["text/html"]


def test_a_network_of_nobody_can_be_shown() -> None:
    """A run without a peer, or no run, is no error."""
    for networks in ({"states": ()}, {"states": (Links(0.0, (), frozenset(), {}),)}):
        view = NetworkView(networks, 5)
        assert view.html()
        assert view.svg()


def test_a_record_is_the_same_run_and_says_how_it_is_opened(tmp_path: Path) -> None:
    """A run that is played again for its record has the digest it had; another one is refused."""
    from asyncmachine.record import Record
    from pubsub_sim.simulator.recorded import DifferentRunError, record_run

    options = SimOptions(duration="10s", peers=4, topics=2)
    digest = run(Simulation(options).run(), clock="virtual", seed=1).digest
    path = tmp_path / "run.sqlite"
    words = record_run(options, str(path), digest)
    assert f"python -m asyncmachine record show {path}" in words
    with Record.open(path) as record:
        assert any(machine.id == "sim" for machine in record.machines)
    with pytest.raises(DifferentRunError):
        record_run(options, str(path), "0" * 64)
