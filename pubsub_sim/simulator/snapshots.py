"""The network of a simulation at chosen moments: peers, connections, and the meshes of topics, as plain rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.protocol.gossipsub import GossipSub

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pubsub_sim.simulator.simulation import Simulation

PEER, CONNECTION, MESH = "peer", "connection", "mesh"
"""Kinds of rows."""

COLUMNS: dict[str, type] = {"time_s": float, "kind": str, "topic": str, "one": str, "other": str}
"""Of the rows."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Links:
    """The network at a moment, by names of peers.

    Attributes:
        time_s: when, in seconds of the run.
        peers: all ready peers, oldest first.
        connections: pairs.
        meshes: topic -> pairs of whom one has the other in its mesh.
    """

    time_s: float
    peers: tuple[str, ...]
    connections: frozenset[Pair]
    meshes: Mapping[str, frozenset[Pair]]

    def rows(self) -> list[dict[str, Any]]:
        """It as rows of time_s, kind, topic, one and other, in a fixed order."""
        found = [(PEER, "", name, "") for name in self.peers]
        found += [(CONNECTION, "", *pair) for pair in sorted(self.connections)]
        found += [(MESH, topic, *pair) for topic in sorted(self.meshes) for pair in sorted(self.meshes[topic])]
        return [
            {"time_s": self.time_s, "kind": kind, "topic": topic, "one": one, "other": other}
            for kind, topic, one, other in found
        ]


NOTHING = Links(0.0, (), frozenset(), {})
"""A network before anybody came."""


def links_of(sim: Simulation) -> Links:
    """The network at this moment."""
    peers = [peer for peer in sim.peers.values() if peer.is_ready and peer.node is not None]
    names = {peer.node.peer_id: peer.name for peer in peers if peer.node is not None}
    connections: set[Pair] = set()
    meshes: dict[str, set[Pair]] = {}
    for peer in peers:
        assert peer.node is not None
        connections |= {_pair(peer.name, names[other]) for other in peer.node.connections if other in names}
        router = peer.node.pubsub.router
        for topic, members in router.mesh.items() if isinstance(router, GossipSub) else ():
            meshes.setdefault(topic, set()).update(_pair(peer.name, names[one]) for one in members if one in names)
    return Links(
        round(sim.elapsed_s, 9),
        tuple(names.values()),
        frozenset(connections),
        {topic: frozenset(pairs) for topic, pairs in meshes.items()},
    )


def links_from(rows: Iterable[Mapping[str, Any]]) -> list[Links]:
    """Read the networks of a run back, oldest first."""
    at: dict[float, list[Mapping[str, Any]]] = {}
    for row in rows:
        at.setdefault(row["time_s"], []).append(row)
    found = []
    for time_s, own in sorted(at.items()):
        meshes: dict[str, set[Pair]] = {}
        for row in own:
            if row["kind"] == MESH:
                meshes.setdefault(row["topic"], set()).add((row["one"], row["other"]))
        found.append(
            Links(
                time_s,
                tuple(row["one"] for row in own if row["kind"] == PEER),
                frozenset((row["one"], row["other"]) for row in own if row["kind"] == CONNECTION),
                {topic: frozenset(pairs) for topic, pairs in meshes.items()},
            )
        )
    return found


class Snapshots:
    """Takes the network every so often, to be called once a second.

    Args:
        every_s: seconds of the run between two.

    Attributes:
        taken: the networks, oldest first.
    """

    def __init__(self, every_s: float) -> None:
        self.taken: list[Links] = []
        self._every_s = every_s

    def take(self, sim: Simulation) -> None:
        """Take the network of this moment, if it is time for one."""
        if sim.elapsed_s >= len(self.taken) * self._every_s:
            self.taken.append(links_of(sim))

    def rows(self) -> list[dict[str, Any]]:
        """All of them as rows."""
        return [row for links in self.taken for row in links.rows()]


def _pair(one: str, other: str) -> Pair:
    return min(one, other), max(one, other)
