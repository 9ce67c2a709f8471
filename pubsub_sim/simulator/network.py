"""The network of a simulation: pubsub nodes that come and go, over memory or TCP, and their rendezvous.

Unlike the hosts of a `World`, a peer's node is created when the peer connects, with the next key, and removed with the peer,
including its connections and registrations.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING

from pubsub_sim.drivers.versions import driver_factory, machines_of
from pubsub_sim.net.linked import LinkedNetwork
from pubsub_sim.net.memory import MemoryNetwork
from pubsub_sim.net.rendezvous import RendezvousClient, RendezvousServer
from pubsub_sim.net.tcp import TcpNetwork
from pubsub_sim.node.pubsub import PubSub
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.params import DISCOVERY_NAMESPACE, HostParams
from pubsub_sim.wire.signing import KeyPair
from pubsub_sim.world.routers import router_maker
from pubsub_sim.world.world import SIGNING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pubsub_sim.ids import PeerId
    from pubsub_sim.net.clock import LoopClock
    from pubsub_sim.net.linked import LinkWatcher
    from pubsub_sim.node.driver import Driver, HostContext
    from pubsub_sim.simulator.accounts import NodeTracer
    from pubsub_sim.simulator.options import SimOptions


class Network:
    """The factory of the nodes of a simulation.

    Args:
        options: transport, links, version, router and seed.
        clock: the simulation's time.
        bind: called with every state machine of every node, before it starts.
        watcher: receives frames lost by links; over memory only.
    """

    def __init__(
        self, options: SimOptions, clock: LoopClock, bind: Callable[[object], None], watcher: LinkWatcher
    ) -> None:
        loop = asyncio.get_running_loop()
        self._options = options
        self._clock = clock
        self._bind = bind
        self._make_driver = driver_factory(options.version)
        self._machines_in = machines_of(options.version)
        self._make_router = router_maker(options.router)
        self._rendezvous = RendezvousServer()
        self._ids: list[PeerId] = []
        self._seals = options.transport != "tcp" and clock.kind == "virtual"
        self._net: MemoryNetwork | TcpNetwork
        if options.transport == "tcp":
            self._net = TcpNetwork(loop)
        else:
            self._net = linked = LinkedNetwork(loop, clock, options.link, options.seed, carries_objects=self._seals)
            linked.watcher = watcher

    async def add_node(self, number: int, tracer: NodeTracer) -> Node:
        """Create and start the node of a peer.

        Args:
            number: number of the peer; unique.
            tracer: receives all events of the node.
        """
        options = self._options
        key = KeyPair(hashlib.sha256(f"{options.seed}/key/{number}".encode()).digest())
        rng = random.Random(f"{options.seed}/host/{number}")
        self._ids.append(key.peer_id)
        tracer.own_id = key.peer_id
        params = GossipsubParams() if options.router == "gossipsub" else HostParams()
        host = self._net.add_host(key.peer_id)
        try:
            pubsub = PubSub(
                host,
                self._clock,
                rng,
                key=key,
                router=self._make_router(number, self._ids, params),
                policy=SIGNING[options.sign],
                make_driver=self._driver,
                rendezvous=RendezvousClient(self._rendezvous, key.peer_id, limit=options.peers),
                params=params,
                tracer=tracer,
                number=number,
                seals=self._seals,
                initial_seqno=rng.getrandbits(48),
            )
            pubsub.start()
            await self._net.open()
        except BaseException:
            self._net.remove_host(key.peer_id)
            raise
        return Node(self, pubsub, key.peer_id)

    async def close(self) -> None:
        """Close all remaining nodes and connections."""
        await self._net.close()

    def _driver(self, context: HostContext) -> Driver:
        driver = self._make_driver(context)
        for machine in self._machines_in(driver):
            self._bind(machine)
        return driver

    def connections_of(self, peer_id: PeerId) -> Sequence[PeerId]:
        """Return the peers connected with a node, oldest connection first."""
        return self._net.host(peer_id).connected_peers()

    async def connect(self, one: PeerId, other: PeerId) -> None:
        """Let a node dial another one. Raises DialError."""
        await self._net.host(one).connect(other)

    def withdraw(self, peer_id: PeerId, topic: str | None = None) -> None:
        """Remove a peer's registration for one topic or for all."""
        self._rendezvous.withdraw(peer_id, None if topic is None else DISCOVERY_NAMESPACE + topic)

    def remove(self, peer_id: PeerId) -> None:
        """Remove a node with its connections and registrations."""
        self.withdraw(peer_id)
        self._net.remove_host(peer_id)


class Node:
    """A pubsub node of a peer, from its start to its end.

    Attributes:
        pubsub: the node.
        peer_id: its peer id.
    """

    def __init__(self, network: Network, pubsub: PubSub, peer_id: PeerId) -> None:
        self.pubsub = pubsub
        self.peer_id = peer_id
        self._network = network

    @property
    def connections(self) -> Sequence[PeerId]:
        """Connected peers."""
        return self._network.connections_of(self.peer_id)

    @property
    def topics(self) -> set[str]:
        """Topics that the node itself has a subscription of."""
        return self.pubsub.view.topics

    def targets(self, topic: str) -> set[PeerId]:
        """Return the peers to which the node forwards a topic's messages: its mesh, or without meshes the known peers of the topic."""
        router = self.pubsub.router
        if isinstance(router, GossipSub):
            return set(router.mesh.get(topic, ()))
        return self.pubsub.view.peers_announcing(topic)

    async def connect(self, other: Node) -> None:
        """Dial another node. Raises DialError."""
        await self._network.connect(self.peer_id, other.peer_id)

    def withdraw(self, topic: str) -> None:
        """Remove its registration for a topic."""
        self._network.withdraw(self.peer_id, topic)

    async def close(self) -> None:
        """Close it completely, even if the caller is cancelled.

        Raises:
            ExceptionGroup: the errors; the node is removed nevertheless.
        """
        try:
            await self.pubsub.close()
        finally:
            self._network.remove(self.peer_id)
