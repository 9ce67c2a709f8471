"""The network of a simulation: pubsub nodes that come and go, over memory or TCP, and the rendezvous where they meet.

A `World` has its hosts from the start to the end. Here a peer's node is made when the peer connects, under the next key,
and is gone with the peer: no connection, no registration of it is left.
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
    """Makes the nodes of a simulation.

    Args:
        options: transport, links, version, router and seed.
        clock: the simulation's time.
        bind: is given every state machine of every node, before it starts.
        watcher: is told what links lose; over memory only.
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
        self._net: MemoryNetwork | TcpNetwork
        if options.transport == "tcp":
            self._net = TcpNetwork(loop)
        else:
            self._net = linked = LinkedNetwork(loop, clock, options.link, options.seed)
            linked.watcher = watcher

    async def add_node(self, number: int, tracer: NodeTracer) -> Node:
        """Make and start the node of a peer.

        Args:
            number: of the peer; each number once.
            tracer: is told of all that the node decides.
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
                initial_seqno=rng.getrandbits(48),
            )
            pubsub.start()
            await self._net.open()
        except BaseException:
            self._net.remove_host(key.peer_id)
            raise
        return Node(self, pubsub, key.peer_id)

    async def close(self) -> None:
        """Close whatever is still there."""
        await self._net.close()

    def _driver(self, context: HostContext) -> Driver:
        driver = self._make_driver(context)
        for machine in self._machines_in(driver):
            self._bind(machine)
        return driver

    def connections_of(self, peer_id: PeerId) -> Sequence[PeerId]:
        """Peers that a node is connected with, oldest connection first."""
        return self._net.host(peer_id).connected_peers()

    async def connect(self, one: PeerId, other: PeerId) -> None:
        """Let a node dial another one; raises DialError."""
        await self._net.host(one).connect(other)

    def withdraw(self, peer_id: PeerId, topic: str | None = None) -> None:
        """Nobody is to find a peer any more, in a topic or in any."""
        self._rendezvous.withdraw(peer_id, None if topic is None else DISCOVERY_NAMESPACE + topic)

    def remove(self, peer_id: PeerId) -> None:
        """A node is gone: its connections are cut, and nobody finds it."""
        self.withdraw(peer_id)
        self._net.remove_host(peer_id)


class Node:
    """A pubsub node of a peer, from its start to its end.

    Attributes:
        pubsub: the node.
        peer_id: who it is.
    """

    def __init__(self, network: Network, pubsub: PubSub, peer_id: PeerId) -> None:
        self.pubsub = pubsub
        self.peer_id = peer_id
        self._network = network

    @property
    def connections(self) -> Sequence[PeerId]:
        """Peers it is connected with."""
        return self._network.connections_of(self.peer_id)

    @property
    def topics(self) -> set[str]:
        """Topics that the node itself has a subscription of."""
        return self.pubsub.view.topics

    def targets(self, topic: str) -> set[PeerId]:
        """Peers that the node passes a topic's messages on to: its mesh, or without meshes whom it knows to be in the topic."""
        router = self.pubsub.router
        if isinstance(router, GossipSub):
            return set(router.mesh.get(topic, ()))
        return self.pubsub.view.peers_announcing(topic)

    async def connect(self, other: Node) -> None:
        """Dial another node; raises DialError."""
        await self._network.connect(self.peer_id, other.peer_id)

    def withdraw(self, topic: str) -> None:
        """Nobody is to find it in a topic any more."""
        self._network.withdraw(self.peer_id, topic)

    async def close(self) -> None:
        """End it; it goes to its end whoever is cancelled.

        Raises:
            ExceptionGroup: what went wrong; the node is gone all the same.
        """
        try:
            await self.pubsub.close()
        finally:
            self._network.remove(self.peer_id)
