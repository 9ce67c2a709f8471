"""The root machine `sim`: every heartbeat adds the states that are due, and their negotiation handlers accept or refuse.

A negotiation handler selects the peer or topic and stores it in the mutation's arguments, so that the final handler acts on the
same one. A refused state is due again at the next heartbeat.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from asyncmachine import Event, Machine
from pubsub_sim.simulator.peer import MESSAGES, Peer
from pubsub_sim.simulator.schemas import PeerStates, RootStates
from pubsub_sim.simulator.topic import PEER, TOPIC, Topic

if TYPE_CHECKING:
    from pubsub_sim.net.clock import LoopClock
    from pubsub_sim.simulator.accounts import Ledger
    from pubsub_sim.simulator.options import SimOptions

HEARTBEAT_S = 1.0
FRIENDS = "[]Peer.id"
"""The argument with two peers to become friends."""

_ADJECTIVES = (
    "amber bold calm dark early far green high idle just keen late mild new odd pale quiet rare slow tall".split()
)
_NOUNS = "bay cliff dune elm fjord grove hill isle jetty kiln lake moor nook oak pond quay reef shore tide vale".split()

Frequencies = tuple[tuple[str, float], ...]


def frequencies(options: SimOptions) -> Frequencies:
    """Return the mean interval in seconds by random state, without disabled states."""
    table = (
        (RootStates.AddRandomFriend, options.every_friend),
        (RootStates.JoinRandomTopic, options.every_join),
        (RootStates.JoinFriendsTopic, options.every_friends_join),
        (RootStates.MsgRandomTopic, options.every_send),
        (RootStates.AddPeer, options.every_peer),
        (RootStates.RemovePeer, options.every_leave),
        (RootStates.AddTopic, options.every_topic),
        (RootStates.RemoveTopic, options.every_topic_end),
        (RootStates.PeakRandTopic, options.every_peak),
        (RootStates.GC, options.every_gc),
    )
    return tuple((str(state), mean) for state, mean in table if mean)


class Root:
    """The peers and topics of a simulation, and the handlers of the root machine.

    Args:
        options: limits and frequencies.
        clock: the simulation's time.
        ledger: the account of messages.
        make_peer: creates a peer by number.
        make_topic: creates a topic by name.
        note: called with each decision, for the digest.
        on_heartbeat: called at the start of each heartbeat, before any selection.
        on_metrics: called when metrics are due.

    Attributes:
        machine: the machine `sim`.
        peers: peers by name, in order of creation.
        leaving: leaving peers by name, no longer in `peers`.
        topics: topics by name, in order of creation.
        created_topics: number of topics created.
    """

    def __init__(
        self,
        options: SimOptions,
        clock: LoopClock,
        ledger: Ledger,
        *,
        make_peer: Callable[[int], Peer],
        make_topic: Callable[[str], Topic],
        note: Callable[..., None],
        on_heartbeat: Callable[[], None],
        on_metrics: Callable[[], None],
        tracers: Sequence[object] = (),
    ) -> None:
        self.peers: dict[str, Peer] = {}
        self.leaving: dict[str, Peer] = {}
        self.topics: dict[str, Topic] = {}
        self.created_topics = 0
        self._created_peers = 0
        self._options = options
        self._clock = clock
        self._ledger = ledger
        self._make_peer = make_peer
        self._make_topic = make_topic
        self._note = note
        self._on_heartbeat = on_heartbeat
        self._on_metrics = on_metrics
        self._rng = random.Random(f"{options.seed}/simulator")
        self._frequencies = frequencies(options)
        self._start_ns = clock.now_ns()
        self._last_ns: dict[str, int] = {}
        self.machine = Machine(RootStates, id="sim", handlers=self, tracers=tracers)

    # --- heartbeat -----------------------------------------------------------------------------------------------

    async def StartState(self, e: Event) -> None:
        """Run a heartbeat once a second until Start ends, which cancels this task."""
        self.machine.add(RootStates.AddPeer, amount=self._options.first_peers)
        due_ns = self._clock.now_ns()
        while True:
            self.machine.add(RootStates.Heartbeat)
            due_ns += round(HEARTBEAT_S * 1e9)
            await self._clock.sleep(max(0, due_ns - self._clock.now_ns()) / 1e9)

    def HeartbeatState(self, e: Event) -> None:
        e.remove(RootStates.Heartbeat)
        self._on_heartbeat()
        self._find_failed()
        e.add(RootStates.RefreshMetrics)
        missing = self._options.first_topics - self.created_topics
        if missing > 0:  # repeated until a peer is ready, as none is at the start
            e.add(RootStates.AddTopic, amount=missing)
        for state, mean_s in self._frequencies:
            delay_ns = mean_s * self._rng.uniform(0.75, 1.25) * 1e9
            if self._clock.now_ns() - self._last_ns.get(state, self._start_ns) >= delay_ns:
                e.add(state)

    def RefreshMetricsState(self, e: Event) -> None:
        e.remove(RootStates.RefreshMetrics)
        self._on_metrics()

    def _find_failed(self) -> None:
        """End peers whose node ended with an error."""
        for peer in self.peers.values():
            if peer.node is not None and peer.node.pubsub.failure is not None and not peer.machine.is_err():
                failure = peer.node.pubsub.failure
                peer.machine.add_err(failure)

    def _begin(self, e: Event, **facts: object) -> None:
        """End the pulse and note the decision, first in every handler of a random state."""
        state = e.name.removesuffix("State")
        e.remove(state)
        self._last_ns[state] = self._clock.now_ns()
        self._note(state, *facts.values())

    def _pick(self, things: Sequence[Any]) -> Any:
        """Return a random element; None if there are none."""
        return self._rng.choice(things) if things else None

    # --- peers ---------------------------------------------------------------------------------------------------

    def ready(self) -> list[Peer]:
        """Return the peers that can join and send."""
        return [peer for peer in self.peers.values() if peer.is_ready]

    def AddPeerEnter(self, e: Event) -> bool:
        return len(self.peers) < self._options.peers

    def AddPeerState(self, e: Event) -> None:
        self._begin(e, amount=e.args.get("amount", 1))
        for _ in range(min(e.args.get("amount", 1), self._options.peers - len(self.peers))):
            peer = self._make_peer(self._created_peers)
            self._created_peers += 1
            self.peers[peer.name] = peer
            peer.machine.add(PeerStates.Start)

    def RemovePeerEnter(self, e: Event) -> bool:
        """Accept a peer that is leaving; or select a random one, if there are more than the initial number."""
        if PEER in e.args:
            return e.args[PEER] in self.peers
        peer = self._pick(self.ready()) if len(self.peers) > self._options.first_peers else None
        if peer is not None:
            e.args[PEER] = peer.name
        return peer is not None

    def RemovePeerState(self, e: Event) -> None:
        name: str = e.args[PEER]
        self._begin(e, peer=name)
        leaving = self.peers.pop(name)
        for peer in self.peers.values():
            peer.friends.pop(name, None)
        leaving.machine.add(PeerStates.Disconnecting, **{PEER: name})
        self.leaving[name] = leaving
        self.machine.fork(self._end_peer(leaving))

    async def _end_peer(self, peer: Peer) -> None:
        await end_peer(peer)
        del self.leaving[peer.name]

    def AddRandomFriendEnter(self, e: Event) -> bool:
        most = self._options.friends_per_peer
        open_ = [peer for peer in self.ready() if len(peer.friends) < most]
        first = self._pick([peer for peer in open_ if peer.joined])
        second = first and self._pick([peer for peer in open_ if peer is not first and peer.name not in first.friends])
        if second is None:
            return False
        e.args[FRIENDS] = (first.name, second.name)
        return True

    def AddRandomFriendState(self, e: Event) -> None:
        names = e.args[FRIENDS]
        self._begin(e, peers=names)
        first, second = (self.peers[name] for name in names)
        first.friends[second.name] = second.friends[first.name] = None
        topic = self._pick(first.joined)
        if topic is not None and self._may_join(second, topic):
            self._join(second, topic)

    def GCState(self, e: Event) -> None:
        """End friendships without a common topic; keep only the latest texts of peers."""
        self._begin(e)
        for peer in self.peers.values():
            topics = set(peer.joined)
            for name in [name for name in peer.friends if not topics.intersection(self.peers[name].joined)]:
                del peer.friends[name], self.peers[name].friends[peer.name]
            peer.keep_last(self._options.kept_messages)

    # --- topics --------------------------------------------------------------------------------------------------

    def _may_join(self, peer: Peer, topic: str) -> bool:
        options = self._options
        return (
            topic in self.topics
            and topic not in peer.parts
            and len(peer.parts) < options.topics_per_peer
            and self.wished(topic) < options.peers_per_topic
        )

    def wished(self, topic: str) -> int:
        """Return the number of peers that are in a topic or joining it."""
        parts = [peer.parts[topic] for peer in self.peers.values() if topic in peer.parts]
        return len([part for part in parts if not part.is_leaving])

    def _join(self, peer: Peer, topic: str) -> None:
        peer.machine.add(PeerStates.JoiningTopic, **{TOPIC: topic, PEER: peer.name})

    def _joinable(self, peer: Peer, topics: Sequence[str]) -> str | None:
        found: str | None = self._pick([topic for topic in topics if self._may_join(peer, topic)])
        return found

    def AddTopicEnter(self, e: Event) -> bool:
        most = self._options.topics_per_peer
        return len(self.topics) < self._options.topics and any(len(peer.parts) < most for peer in self.ready())

    def AddTopicState(self, e: Event) -> None:
        amount = min(e.args.get("amount", 1), self._options.topics - len(self.topics))
        names = [self._new_name(number) for number in range(amount)]
        self._begin(e, topics=tuple(names))
        for name in names:
            self.created_topics += 1
            self.topics[name] = self._make_topic(name)
            for _ in range(self._options.initial_topic_peers):
                peer = self._pick([peer for peer in self.ready() if self._may_join(peer, name)])
                if peer is not None:
                    self._join(peer, name)

    def _new_name(self, offset: int) -> str:
        """Return a name that was never used for a topic."""
        return f"t-{self._pick(_ADJECTIVES)}-{self._pick(_NOUNS)}-{self.created_topics + offset}"

    def RemoveTopicEnter(self, e: Event) -> bool:
        topic = self._pick(list(self.topics)) if self.created_topics >= self._options.first_topics else None
        if topic is not None:
            e.args[TOPIC] = topic
        return topic is not None

    def RemoveTopicState(self, e: Event) -> None:
        name: str = e.args[TOPIC]
        self._begin(e, topic=name)
        topic = self.topics.pop(name)
        for peer in self.ready():
            if name in peer.parts:
                peer.machine.add(PeerStates.LeavingTopic, **{TOPIC: name, PEER: peer.name})
        topic.machine.dispose()
        self._ledger.last_sent_ns.pop(name, None)

    def JoinRandomTopicEnter(self, e: Event) -> bool:
        peer = self._pick(self.ready())
        topic = None if peer is None else self._joinable(peer, list(self.topics))
        if topic is None:
            return False
        e.args.update({PEER: peer.name, TOPIC: topic})
        return True

    def JoinRandomTopicState(self, e: Event) -> None:
        self._begin(e, peer=e.args[PEER], topic=e.args[TOPIC])
        self._join(self.peers[e.args[PEER]], e.args[TOPIC])

    def JoinFriendsTopicEnter(self, e: Event) -> bool:
        peer = self._pick([peer for peer in self.ready() if peer.friends])
        friend = peer and self.peers[self._pick(list(peer.friends))]
        topic = None if peer is None else self._joinable(peer, friend.joined)
        if topic is None:
            return False
        e.args.update({PEER: peer.name, TOPIC: topic})
        return True

    def JoinFriendsTopicState(self, e: Event) -> None:
        self._begin(e, peer=e.args[PEER], topic=e.args[TOPIC])
        self._join(self.peers[e.args[PEER]], e.args[TOPIC])

    def PeakRandTopicEnter(self, e: Event) -> bool:
        enough = len(self.topics) >= 3 and len(self.ready()) >= 2 * self._options.peak_peers
        if not enough:
            return False
        e.args[TOPIC] = self._pick(list(self.topics))
        return True

    def PeakRandTopicState(self, e: Event) -> None:
        """Add many joins to a topic, as ordinary mutations."""
        topic: str = e.args[TOPIC]
        self._begin(e, topic=topic)
        for _ in range(self._options.peak_peers):
            peer = self._pick([peer for peer in self.ready() if self._may_join(peer, topic)])
            if peer is not None:
                self._join(peer, topic)

    # --- messages ------------------------------------------------------------------------------------------------

    def MsgRandomTopicEnter(self, e: Event) -> bool:
        readers: dict[str, int] = {}
        for peer in self.ready():
            for topic in peer.joined:
                readers[topic] = readers.get(topic, 0) + 1
        senders = [(peer.name, topic) for peer in self.ready() for topic in peer.joined if readers[topic] >= 2]
        if not senders:
            return False
        name = self._pick(list(dict.fromkeys(name for name, _ in senders)))
        e.args.update({PEER: name, TOPIC: self._pick([topic for sender, topic in senders if sender == name])})
        return True

    def MsgRandomTopicState(self, e: Event) -> None:
        name, topic = e.args[PEER], e.args[TOPIC]
        self._begin(e, peer=name, topic=topic)
        peer = self.peers[name]
        texts = tuple(peer.write() for _ in range(self._options.messages_per_send))
        peer.machine.add(PeerStates.SendingMsgs, **{TOPIC: topic, PEER: name, MESSAGES: texts})

    def VerifyMsgsRecvEnter(self, e: Event) -> bool:
        return "amount" in e.args  # else it forwards a join or a leave

    def VerifyMsgsRecvState(self, e: Event) -> None:
        e.remove(RootStates.VerifyMsgsRecv)
        self.machine.fork(self._verify(), RootStates.Start)

    async def _verify(self) -> None:
        """Settle the messages sent until now, after their limit."""
        sent_ns = self._clock.now_ns()
        await self._clock.sleep(self._options.delivery_limit_s)
        self._ledger.settle(sent_ns)


async def end_peer(peer: Peer) -> None:
    """Wait until a peer has left, then dispose its machine."""
    await peer.machine.when_not(PeerStates.Start)
    peer.machine.dispose()
    await peer.machine.disposed()


async def end_topic(topic: Topic) -> None:
    """Dispose a topic's machine."""
    topic.machine.dispose()
    await topic.machine.disposed()
