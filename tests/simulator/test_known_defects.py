"""The eight defects of the original simulator, each with a test that fails where it exists."""

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Tracer, Transition
from pubsub_sim import run
from pubsub_sim.simulator.meters import MachineMeter, Series
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import SimResult, Simulation


def simulate(options: SimOptions, **hooks: Any) -> SimResult:
    return run(Simulation(options, **hooks).run(), clock="virtual")


def test_initial_topics_exist_from_the_first_seconds_on() -> None:
    """The first topics come as soon as a peer is ready, all of them at once, and not one by one with the heartbeats."""
    counts: list[int] = []
    options = SimOptions(duration="3s", every_topic=0.0, initial_topics=10)
    simulate(options, on_metrics=lambda sim: counts.append(len(sim.topics)))
    assert counts[-1] == 10


def test_peers_leave_with_the_default_limits() -> None:
    """More peers come than there are at the start, so that random leaves are possible."""
    seen: set[str] = set()
    last: list[set[str]] = []

    def look(sim: Simulation) -> None:
        seen.update(sim.peers)
        last[:] = [set(sim.peers)]

    options = SimOptions(duration="60s", every_leave=5.0, every_send=0.0)
    assert options.first_peers < options.peers
    simulate(options, on_metrics=look)
    assert len(seen - last[0]) >= 3
    assert len(last[0]) >= options.first_peers


def test_joins_of_a_peak_are_in_the_books() -> None:
    """A peak's joins are members like any other: no topic is joined twice, and the topic reaches its crowd."""
    sizes: list[int] = []

    def look(sim: Simulation) -> None:
        for topic in sim.topics.values():
            readers = [peer for peer in sim.peers.values() if peer.node is not None and topic.name in peer.node.topics]
            assert topic.size == len([peer for peer in readers if peer.is_ready])
            sizes.append(topic.size)

    quiet: dict[str, float] = dict.fromkeys(("every_join", "every_friends_join", "every_friend", "every_leave"), 0.0)
    options = SimOptions(duration="40s", topics=4, initial_topics=4, every_peak=2.0, every_topic_end=0.0, **quiet)
    result = simulate(options, on_heartbeat=look)
    assert max(sizes) > options.initial_topic_peers
    assert not result.peers_failed


def test_no_text_is_sent_twice() -> None:
    """Each message is told apart from all others, so none can count as received because of an earlier one."""
    texts: list[bytes] = []

    class Texts(Tracer):
        def transition_end(self, tx: Transition) -> None:
            if tx.accepted and tx.mutation.called == ("SendingMsgs",):
                texts.extend(tx.mutation.args["msgs"])

    result = simulate(SimOptions(duration="60s", every_send=1.0), tracers=[Texts()])
    assert len(texts) >= result.sent > 50
    assert len(set(texts)) == len(texts)
    assert result.delivered <= result.owed


def test_what_is_new_is_told_beside_the_totals() -> None:
    """A row of the series has what came since the row before; the sum of it is the total."""
    meter = MachineMeter()
    series = Series(meter)
    result = simulate(SimOptions(duration="30s"), tracers=[meter], on_metrics=series.take)
    assert sum(row["sent_new"] or 0 for row in series.rows) == series.rows[-1]["sent"]
    assert result.sent >= (series.rows[-1]["sent"] or 0) > 0
    assert any(row["latency_ms"] for row in series.rows)


@pytest.mark.parametrize("version", ["baseline", "states"])
def test_a_peer_whose_node_failed_is_not_listed(version: str) -> None:
    """The heartbeat after the failure finds the peer gone from the list, also if it read no topic."""
    failed: list[str] = []

    def break_one(sim: Simulation) -> None:
        if sim.elapsed_s >= 3 and not failed:
            peer = next(iter(sim.peers.values()))
            assert peer.node is not None
            failed.append(peer.name)
            peer.node.pubsub._fail(RuntimeError("broken"))
        elif failed:
            assert failed[0] not in sim.peers

    simulate(
        SimOptions(duration="8s", topics=1, initial_topics=0, every_topic=0.0, version=version), on_heartbeat=break_one
    )
    assert failed


def test_topics_end_while_peers_join_and_send() -> None:
    """A topic that ends in the middle of joins and messages fails nobody, and its messages have their account."""
    options = SimOptions(
        duration="40s", every_topic_end=1.0, every_topic=1.0, every_join=0.5, every_send=0.5, delivery_limit="2s"
    )
    result = simulate(options)
    assert not result.peers_failed
    assert result.adds_up
    assert result.sent > 50


def test_messages_sent_at_one_moment_are_all_accounted_for() -> None:
    """Several peers, and one peer several times, may send at once: each message is settled for itself."""

    def send(sim: Simulation) -> None:
        for peer in list(sim.peers.values())[:4]:
            for topic in peer.joined[:2]:
                for _ in range(3):
                    texts = (peer.write(), peer.write())
                    peer.machine.add("SendingMsgs", **{"Topic.id": topic, "Peer.id": peer.name, "msgs": texts})

    result = simulate(SimOptions(duration="10s", every_send=0.0, every_leave=0.0), on_metrics=send)
    assert result.sent > 60
    assert result.adds_up
    assert set(result.missed) <= {"under way", "left", "joined late", "dropped", "too late"}
