"""The measurements of a simulation: counts of its machines, and a row of figures per second.

A row tells the state of the network at one moment. Of messages and machines it has the totals, and what is new since the row
before (`_new`); of latency, hops and copies per delivery the mean of what is new, and the mean of all so far (`_so_far`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from asyncmachine import Tracer
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.simulator.accounts import REASONS
from pubsub_sim.simulator.schemas import TopicStates

if TYPE_CHECKING:
    from pathlib import Path

    from asyncmachine import Machine, Transition
    from pubsub_sim.simulator.options import SimOptions
    from pubsub_sim.simulator.simulation import SimResult, Simulation

TOPIC_STATES = (TopicStates.Stale, TopicStates.HasPeers, TopicStates.Active, TopicStates.Peaking)


def kind_of(machine: Machine) -> str:
    """Return the kind of a machine: the name of its schema."""
    return machine.schema.__name__


class MachineMeter(Tracer):
    """Counters of the activity of machines.

    Attributes:
        transitions: number by kind of machine, kind of mutation, result, and "auto" or "called".
        handlers: number of handlers run, by kind.
        ticks: number of state changes, by kind.
        exceptions: number by kind and class of the error.
        queued: number of queued mutations, by kind.
        bound: number of machines so far, by kind.
    """

    def __init__(self) -> None:
        self.transitions: Counter[tuple[str, str, str, str]] = Counter()
        self.handlers: Counter[str] = Counter()
        self.ticks: Counter[str] = Counter()
        self.exceptions: Counter[tuple[str, str]] = Counter()
        self.queued: Counter[str] = Counter()
        self.bound: Counter[str] = Counter()
        self._kinds: dict[str, str] = {}

    def bind(self, machine: Machine) -> None:
        """Count an existing machine."""
        machine.bind_tracer(self)

    def machine_init(self, machine: Machine) -> None:
        self.bound[self._kind(machine)] += 1

    def machine_bound(self, machine: Machine) -> None:
        self.bound[self._kind(machine)] += 1

    def transition_end(self, tx: Transition) -> None:
        kind, mutation, before, after = self._kind(tx.machine), tx.mutation, tx.before, tx.after
        result = "accepted" if tx.accepted else "canceled"
        self.transitions[kind, mutation.kind, result, "auto" if mutation.is_auto else "called"] += 1
        if after != before:
            self.ticks[kind] += sum(after) - sum(before)
        if "error" in mutation.args and isinstance(error := mutation.args["error"], BaseException):
            self.exceptions[kind, type(error).__name__] += 1

    def handler_end(self, tx: Transition, binding: str, name: str) -> None:
        self.handlers[self._kind(tx.machine)] += 1

    def mutation_queued(self, machine: Machine, mutation: object) -> None:
        self.queued[self._kind(machine)] += 1

    def _kind(self, machine: Machine) -> str:
        try:
            return self._kinds[machine.id]
        except KeyError:
            kind = self._kinds[machine.id] = kind_of(machine)
            return kind


class Series:
    """A row of figures per second.

    Args:
        meter: counts of machines, for the rows.

    Attributes:
        rows: figures by name, oldest first.
    """

    def __init__(self, meter: MachineMeter) -> None:
        self.rows: list[dict[str, float | int | None]] = []
        self._meter = meter
        self._means = Means()

    def take(self, sim: Simulation) -> None:
        """Add a row of the current figures."""
        self.rows.append(self._row(sim))

    def _row(self, sim: Simulation) -> dict[str, float | int | None]:
        ledger, before = sim.ledger, self.rows[-1] if self.rows else {}
        latencies = ledger.take_latencies()
        row: dict[str, float | int | None] = {"time_s": round(sim.elapsed_s, 9), **figures(sim)}
        for name, value in {**totals(sim), **self._of_machines()}.items():
            row[name] = value
            row[f"{name}_new"] = value - int(before.get(name) or 0)
        row["latency_max_ms"] = None if not latencies else max(latencies) / 1e6
        deliveries = ledger.hops.total()
        self._means.add("latency_ms", sum(latencies) / 1e6, len(latencies))
        self._means.take("hops", sum(hops * count for hops, count in ledger.hops.items()), deliveries)
        self._means.take("copies_per_delivery", ledger.copies, deliveries)
        row.update(self._means.row())
        return row

    def _of_machines(self) -> dict[str, int]:
        meter = self._meter
        return {
            "transitions": meter.transitions.total(),
            "transitions_canceled": sum(n for key, n in meter.transitions.items() if key[2] == "canceled"),
            "handlers": meter.handlers.total(),
            "ticks": meter.ticks.total(),
            "queued": meter.queued.total(),
            "exceptions": meter.exceptions.total(),
        }


class Means:
    """Means of what is new since the row before, and of all so far; None where there is nothing to take the mean of."""

    def __init__(self) -> None:
        self._now: dict[str, tuple[float, int]] = {}
        self._before: dict[str, tuple[float, int]] = {}

    def add(self, name: str, amount: float, count: int) -> None:
        """Take what is new: a sum, and of how many."""
        total, before = self._now.get(name, (0.0, 0))
        self.take(name, total + amount, before + count)

    def take(self, name: str, total: float, count: int) -> None:
        """Take the sum of all so far, and of how many."""
        self._before[name] = self._now.get(name, (0.0, 0))
        self._now[name] = (total, count)

    def row(self) -> dict[str, float | None]:
        """The columns of these means."""
        found: dict[str, float | None] = {}
        for name, (total, count) in self._now.items():
            total_before, count_before = self._before[name]
            new = count - count_before
            found[name] = (total - total_before) / new if new else None
            found[f"{name}_so_far"] = total / count if count else None
        return found


def figures(sim: Simulation) -> dict[str, int | float]:
    """Return the current figures of the network: peers, topics by state, connections, friendships, meshes."""
    peers, topics = sim.peers.values(), sim.topics.values()
    ready = [peer for peer in peers if peer.is_ready and peer.node is not None]
    degrees = mesh_degrees(sim)
    joined = [len(peer.joined) for peer in ready]
    found: dict[str, int | float] = {
        "peers": len(peers),
        "peers_ready": len(ready),
        "peers_with_topics": sum(count > 0 for count in joined),
        "topics": len(topics),
        "peers_per_topic": sum(joined) / len(topics) if topics else 0.0,
        "connections": sum(len(peer.node.connections) for peer in ready if peer.node is not None) // 2,
        "friendships": sum(len(peer.friends) for peer in peers) // 2,
        "mesh_degree": sum(degrees) / len(degrees) if degrees else 0.0,
        "mesh_degree_max": max(degrees, default=0),
    }
    for state in TOPIC_STATES:
        found[f"topics_{_snake(str(state))}"] = sum(topic.machine.is_active(state) for topic in topics)
    return found


def totals(sim: Simulation) -> dict[str, int]:
    """Return the totals of messages so far."""
    ledger = sim.ledger
    return {
        "sent": ledger.sent,
        "owed": ledger.owed,
        "delivered": ledger.delivered,
        **{f"missed_{_snake(reason)}": ledger.missed[reason] for reason in REASONS},
        "extra": ledger.extra,
        "copies": ledger.copies,
        "duplicates": ledger.duplicates,
    }


def mesh_degrees(sim: Simulation) -> list[int]:
    """Return the size of each mesh of each ready peer; empty for routers without meshes."""
    routers = [peer.node.pubsub.router for peer in sim.peers.values() if peer.is_ready and peer.node is not None]
    return [len(mesh) for router in routers if isinstance(router, GossipSub) for mesh in router.mesh.values()]


def _snake(text: str) -> str:
    return {"HasPeers": "has_peers"}.get(text, text.lower().replace(" ", "_"))


def write_series(series: Series, options: SimOptions, result: SimResult, path: Path) -> None:
    """Write the rows as Parquet, with options and result in the footer.

    Raises:
        UnwritableFolderError: the folder cannot be created or written, or the disk is full.
    """
    from pubsub_sim.results.simulations import encoded
    from pubsub_sim.results.whole_files import put_whole

    put_whole(encoded(series.rows, {"options": asdict(options), "result": asdict(result)}), path)
