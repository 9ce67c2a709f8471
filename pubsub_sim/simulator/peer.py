"""A peer of the simulation: its machine `sim-p<number>`, its node, and its membership of topics.

Pipes forward its events to the machines of its topics and to the root, without duplicated bookkeeping. All tasks of a peer are
forked from its machine, so they end with a state or with the machine.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from asyncmachine import Event, Machine, pipes
from pubsub_sim.errors import DialError
from pubsub_sim.simulator.accounts import NodeTracer
from pubsub_sim.simulator.schemas import PeerStates, RootStates, TopicStates
from pubsub_sim.simulator.topic import PEER, TOPIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pubsub_sim.ids import PeerId
    from pubsub_sim.net.clock import LoopClock
    from pubsub_sim.node.topic import Subscription
    from pubsub_sim.node.topic import Topic as NodeTopic
    from pubsub_sim.simulator.accounts import Ledger
    from pubsub_sim.simulator.network import Network, Node
    from pubsub_sim.simulator.options import SimOptions
    from pubsub_sim.simulator.topic import Topic

MESSAGES = "msgs"
"""The argument with the payloads to send."""
BOOTSTRAPS = 2
"""Number of peers that a new peer dials before it knows any topic."""


class PeerScene(Protocol):
    """The interface of the simulation to its peers."""

    clock: LoopClock
    options: SimOptions
    ledger: Ledger
    network: Network

    @property
    def root(self) -> Machine:
        """The root machine."""

    @property
    def topics(self) -> dict[str, Topic]:
        """Topics by name."""

    def bootstraps(self, peer: Peer) -> Sequence[Peer]:
        """Return the peers that a new one may dial."""

    def failed(self, who: str, error: BaseException) -> None:
        """Report an error that ended a part of the simulation."""


class Part:
    """A peer's membership of a topic, from the request to join to the end.

    Attributes:
        topic: the topic's name.
        is_joined: whether the node has the subscription.
        is_leaving: whether the peer is leaving or has left.
        subscription: the subscription, once joined.
    """

    def __init__(self, owner: Peer, topic: str) -> None:
        self._owner = owner
        self.topic = topic
        self.is_joined = False
        self.is_leaving = False
        self.handle: NodeTopic | None = None
        self.subscription: Subscription | None = None
        self.pipes: list[pipes.Pipe] = []

    @property
    def peer(self) -> str:
        """Name of the peer."""
        return self._owner.name

    @property
    def peer_id(self) -> PeerId:
        """Id of the peer's node."""
        assert self._owner.node is not None
        return self._owner.node.peer_id

    @property
    def is_over(self) -> bool:
        """Whether it is leaving, or its peer has gone."""
        return self.is_leaving or not self._owner.is_ready

    def targets(self) -> set[PeerId]:
        """Return the peers its node would send a message of the topic to."""
        assert self._owner.node is not None
        return self._owner.node.targets(self.topic)


class Peer:
    """A peer, and the handlers of its machine.

    Args:
        scene: the simulation.
        number: its number, unique.
        tracers: tracers of the machine.

    Attributes:
        name: `sim-p<number>`.
        machine: its machine.
        node: its pubsub node, while it has one.
        parts: memberships by topic, including pending ones.
        friends: names of its friends.
        received: the latest texts it read.
    """

    def __init__(self, scene: PeerScene, number: int, tracers: Sequence[object]) -> None:
        self.name = f"sim-p{number}"
        self.number = number
        self.node: Node | None = None
        self.parts: dict[str, Part] = {}
        self.friends: dict[str, None] = {}
        self.received: deque[bytes] = deque()
        self._scene = scene
        self._written = 0
        self.machine = Machine(PeerStates, id=self.name, handlers=self, tracers=tracers)
        pipes.add(self.machine, scene.root, PeerStates.FwdToSim, RootStates.VerifyMsgsRecv)
        pipes.add(self.machine, scene.root, PeerStates.Disconnecting, RootStates.RemovePeer)

    @property
    def is_ready(self) -> bool:
        """Whether it can join and send."""
        return self.machine.is_active(PeerStates.Ready)

    def is_in(self, topic: str) -> bool:
        """Return whether it reads a topic and is not leaving it."""
        part = self.parts.get(topic)
        return part is not None and part.is_joined and not part.is_leaving

    @property
    def joined(self) -> list[str]:
        """Topics it reads."""
        return [name for name, part in self.parts.items() if part.is_joined and not part.is_leaving]

    def write(self) -> bytes:
        """Return a text that is unique among messages."""
        self._written += 1
        return f"{self.name}/{self._written}".encode()

    def keep_last(self, count: int) -> None:
        """Drop all but the latest texts."""
        while len(self.received) > count:
            self.received.popleft()

    # --- identity and connection ---------------------------------------------------------------------------------

    def ExceptionState(self, e: Event) -> None:
        """Disconnect a failed peer; the pipe of Disconnecting notifies the root."""
        self._scene.failed(self.name, e.args["error"])
        e.add(PeerStates.Disconnecting, **{PEER: self.name})

    def GenIdentityState(self, e: Event) -> None:
        e.add(PeerStates.IdentityReady)  # keys come from the seed and the number, when the node is made

    async def ConnectingState(self, e: Event) -> None:
        scene = self._scene
        tracer = NodeTracer(scene.ledger)
        self.node = await scene.network.add_node(self.number, tracer)
        e.add(PeerStates.EventHostConnected, PeerStates.Connected)

    def EventHostConnectedState(self, e: Event) -> None:
        e.remove(PeerStates.EventHostConnected)

    async def ConnectedState(self, e: Event) -> None:
        """Dial a few peers, so that the network is connected before topics are joined."""
        assert self.node is not None
        for other in self._scene.bootstraps(self):
            if other.node is not None:
                try:
                    await self.node.connect(other.node)
                except DialError:
                    continue  # it has left meanwhile
        e.add(PeerStates.BootstrapsConnected)

    async def DisconnectingState(self, e: Event) -> None:
        if self.node is not None:
            await self.node.close()
        e.remove(PeerStates.Start)

    # --- topics --------------------------------------------------------------------------------------------------

    def JoiningTopicEnter(self, e: Event) -> bool:
        topic = e.args.get(TOPIC)
        return topic in self._scene.topics and topic not in self.parts

    def JoiningTopicState(self, e: Event) -> None:
        e.remove(PeerStates.JoiningTopic)
        part = self.parts[e.args[TOPIC]] = Part(self, e.args[TOPIC])
        self.machine.fork(self._take_part(part), PeerStates.Connected)

    async def _take_part(self, part: Part) -> None:
        """Join, read until the end, and leave, in one task to keep the order."""
        assert self.node is not None
        args = {TOPIC: part.topic, PEER: self.name}
        part.handle = await self.node.pubsub.join(part.topic)
        part.subscription = await part.handle.subscribe()
        part.is_joined = True
        self._bind(part)
        self.machine.add(PeerStates.TopicJoined, **args)
        try:
            if not part.is_leaving:
                await self._read(part.subscription)
        finally:
            part.is_leaving = True
        await part.subscription.cancel()
        await part.handle.close()
        self.node.withdraw(part.topic)
        del self.parts[part.topic]
        self.machine.add(PeerStates.TopicLeft, **args)
        for pipe in part.pipes:
            pipe.unbind()

    async def _read(self, subscription: Subscription) -> None:
        assert self.node is not None
        own_id = self.node.peer_id
        async for message in subscription:
            if message.received_from != own_id:
                self.received.append(message.data)
                self._scene.ledger.read(message.id, own_id, self.name)

    def _bind(self, part: Part) -> None:
        """Bind pipes from the peer to the topic's machine, unless the topic has ended meanwhile."""
        topic = self._scene.topics.get(part.topic)
        if topic is None:
            part.is_leaving = True
            return
        news = PeerStates.FwdToSim  # for any event: the vetoes of the topic decide on the consequences
        part.pipes = [
            pipes.bind(self.machine, topic.machine, news, TopicStates.HasPeers),
            pipes.bind(self.machine, topic.machine, news, TopicStates.Peaking),
            pipes.add(self.machine, topic.machine, news, TopicStates.Active),
        ]

    def LeavingTopicEnter(self, e: Event) -> bool:
        part = self.parts.get(e.args.get(TOPIC, ""))
        return part is not None and not part.is_leaving

    def LeavingTopicState(self, e: Event) -> None:
        e.remove(PeerStates.LeavingTopic)
        part = self.parts[e.args[TOPIC]]
        part.is_leaving = True
        if part.subscription is not None:  # else it leaves once it has joined
            self.machine.fork(part.subscription.cancel(), PeerStates.Connected)

    # --- messages ------------------------------------------------------------------------------------------------

    def SendingMsgsEnter(self, e: Event) -> bool:
        return bool(self.is_in(e.args.get(TOPIC, "")) and e.args.get(MESSAGES))

    def SendingMsgsState(self, e: Event) -> None:
        e.remove(PeerStates.SendingMsgs)
        self.machine.fork(self._send(self.parts[e.args[TOPIC]], e.args[MESSAGES]), PeerStates.Connected)

    async def _send(self, part: Part, texts: Sequence[bytes]) -> None:
        assert part.handle is not None
        for text in texts:
            if part.is_over:
                return
            await part.handle.publish(text)
        self.machine.add(PeerStates.MsgsSent, **{TOPIC: part.topic, PEER: self.name, "amount": len(texts)})

    def TopicJoinedState(self, e: Event) -> None:
        e.remove(PeerStates.TopicJoined)

    def TopicLeftState(self, e: Event) -> None:
        e.remove(PeerStates.TopicLeft)

    def MsgsSentState(self, e: Event) -> None:
        e.remove(PeerStates.MsgsSent)

    def FwdToSimState(self, e: Event) -> None:
        e.remove(PeerStates.FwdToSim)
