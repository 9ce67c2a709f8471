"""The simulator as a whole: equal runs, exact accounts, bookkeeping that agrees with the nodes, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from typing import Any

import pytest

from asyncmachine import Machine, Tracer
from pubsub_sim import run
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import SimResult, Simulation

VERSIONS = ("baseline", "states")
SMALL: dict[str, Any] = {"duration": "40s", "peers": 10, "topics": 6, "every_leave": 8.0, "every_topic_end": 10.0}
SEEDS = range(int(os.environ.get("SIMULATOR_SEEDS", "3")))


def simulate(options: SimOptions, **hooks: Any) -> SimResult:
    return run(Simulation(options, **hooks).run(), clock="virtual", seed=options.seed)


def test_two_runs_with_one_seed_are_equal_in_both_versions() -> None:
    """The seed decides everything: the same decisions, messages and deliveries at the same times, whatever the control flow."""
    results = [simulate(SimOptions(**SMALL, version=version)) for version in (*VERSIONS, "states")]
    assert results[0].sent > 10
    assert results[0] == results[1] == results[2]
    assert simulate(SimOptions(**SMALL, seed=2)).digest != results[0].digest


def test_the_hash_seed_changes_nothing() -> None:
    """A run is the same in a process that hashes texts differently."""
    code = (
        "from pubsub_sim import run\n"
        "from pubsub_sim.simulator.options import SimOptions\n"
        "from pubsub_sim.simulator.simulation import Simulation\n"
        f"print(run(Simulation(SimOptions(**{SMALL!r})).run(), clock='virtual').digest)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def check_books(sim: Simulation) -> None:
    """What peers, topics and root believe is what the pubsub nodes know."""
    nodes = {peer.node.peer_id: peer for peer in sim.peers.values() if peer.node is not None and peer.is_ready}
    for peer in nodes.values():
        assert peer.node is not None
        assert peer.node.topics == {name for name, part in peer.parts.items() if part.is_joined}
        assert set(peer.node.connections) <= set(nodes) | {
            other.node.peer_id for other in sim.peers.values() if other.node is not None
        }
        assert all(sim.peers[name].friends.keys() >= {peer.name} for name in peer.friends)
    for name, topic in sim.topics.items():
        readers = {peer.name for peer in nodes.values() if peer.node is not None and name in peer.node.topics}
        assert {member.peer for member in sim.members(name)} == readers
        assert topic.machine.is_active("HasPeers") == bool(readers)
        assert topic.machine.is_active("Peaking") == (len(readers) >= sim.options.peers_per_topic)
        assert topic.machine.is_active("Active") == (sim.clock.now_ns() < topic.quiet_at_ns)
        assert topic.machine.is_active("Stale") == (not topic.machine.any_active("Active", "Peaking"))
    assert len(sim.peers) <= sim.options.peers
    assert len(sim.topics) <= sim.options.topics
    ledger = sim.ledger
    assert ledger.owed == ledger.delivered + ledger.missed.total() + ledger.open


@pytest.mark.parametrize("seed", SEEDS)
def test_the_books_agree_with_the_nodes_at_every_heartbeat(seed: int) -> None:
    """Root, peers and topics believe what the pubsub nodes know, for any seed (SIMULATOR_SEEDS=200 plays as many)."""
    beats = []

    def check(sim: Simulation) -> None:
        check_books(sim)
        beats.append(sim.elapsed_s)

    options = SimOptions(**SMALL, seed=seed, version=VERSIONS[seed % 2], peers_per_topic=5, initial_topic_peers=4)
    result = simulate(options, on_heartbeat=check)
    assert len(beats) >= 40
    assert result.adds_up
    assert not result.peers_failed


class Machines(Tracer):
    def __init__(self) -> None:
        self.all: list[Machine] = []

    def machine_init(self, machine: Machine) -> None:
        self.all.append(machine)

    def machine_bound(self, machine: Machine) -> None:
        self.all.append(machine)


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_left_after_the_end(version: str) -> None:
    """After Start is removed there is no task, no timer and no machine left of root, peers, topics and nodes."""
    machines = Machines()

    async def main() -> tuple[set[asyncio.Task[Any]], int]:
        sim = Simulation(
            SimOptions(**SMALL, version=version),
            tracers=[machines],
            bind_node_machine=lambda machine: machine.bind_tracer(machines),
        )
        await sim.run()
        await asyncio.sleep(0)
        gc.collect()
        loop: Any = asyncio.get_running_loop()
        timers = sum(not timer.cancelled() for timer in loop._scheduled)
        return asyncio.all_tasks() - {asyncio.current_task()}, timers  # type: ignore[arg-type] # there is one

    assert run(main(), clock="virtual") == (set(), 0)
    assert len(machines.all) > 20
    assert all(machine.is_disposed for machine in machines.all)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lossy_network_has_a_reason_for_every_miss(version: str) -> None:
    """Where links lose frames, each delivery that is owed is made, or missed for a reason that is told."""
    result = simulate(SimOptions(**SMALL, version=version, loss=0.2))
    assert result.missed.get("dropped")
    assert result.owed == result.delivered + sum(result.missed.values())
    assert result.adds_up


@pytest.mark.parametrize("version", VERSIONS)
def test_a_peer_that_fails_is_gone_everywhere_and_replaced(version: str) -> None:
    """An error in a node ends its peer: no topic, friend or count knows it any more, and a new peer comes."""
    failed: list[str] = []

    def break_one(sim: Simulation) -> None:
        check_books(sim)
        if sim.elapsed_s >= 15 and not failed:
            peer = next(peer for peer in sim.peers.values() if len(peer.joined) > 1)
            assert peer.node is not None
            failed.append(peer.name)
            peer.node.pubsub._fail(RuntimeError("broken in the middle"))
        if failed and sim.elapsed_s >= 17:
            assert failed[0] not in sim.peers
            assert not any(failed[0] in peer.friends for peer in sim.peers.values())
            assert not any(member.peer == failed[0] for name in sim.topics for member in sim.members(name))

    options = SimOptions(**{**SMALL, "every_leave": 0.0}, version=version)
    counts: list[int] = []
    result = simulate(options, on_heartbeat=break_one, on_metrics=lambda sim: counts.append(len(sim.peers)))
    assert len(result.peers_failed) >= 1
    assert all(failure.startswith(f"{failed[0]}: ") for failure in result.peers_failed)
    assert result.adds_up
    assert counts[-1] == options.peers


def test_cancelling_a_run_ends_it_in_order() -> None:
    """A run that is cut short settles its account, and leaves no task."""

    async def main() -> tuple[SimResult, int]:
        sim = Simulation(SimOptions(**SMALL))
        task = asyncio.ensure_future(sim.run())
        await asyncio.sleep(20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sim.result("interrupted"), len(asyncio.all_tasks())

    result, tasks = run(main(), clock="virtual")
    assert tasks == 1
    assert result.owed == result.delivered + sum(result.missed.values())
    assert 19 < result.simulated_s < 22


def test_a_run_over_tcp_misses_nothing_without_a_reason() -> None:
    """On the wall clock and over sockets every miss has its reason as well."""
    options = SimOptions(duration="4s", peers=6, topics=3, clock="wall", transport="tcp", every_send=0.8)
    result = run(Simulation(options).run(), clock="wall")
    assert result.sent
    assert result.adds_up
