"""The account of messages: whom each is owed to, who got it and how, and why the others did not.

A message is owed to the peers that are in its topic when the sender's node takes it, the sender excepted. Each owed delivery
is settled once, when the delivery limit is over or the run ends: delivered, or missed for one of `REASONS`. So always

    owed = delivered + missed + open

and what is missed without a reason is told apart, as a defect. Whoever is in a topic is told by the peers; nothing of it is
kept twice. What reached somebody it is not owed to, such as a peer that joined a moment later, is `extra`.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.tracing import RawTracer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

LEFT = "left"
JOINED_LATE = "joined late"
DROPPED = "dropped"
UNDER_WAY = "under way"
TOO_LATE = "too late"
NOT_CHOSEN = "not chosen"
UNEXPLAINED = "unexplained"
REASONS = (LEFT, JOINED_LATE, DROPPED, TOO_LATE, UNDER_WAY, NOT_CHOSEN, UNEXPLAINED)
"""Why a message was missed: the peer left; it had joined so lately that no mesh, or none of those who knew of it, led to it; a
link or a full queue lost a frame to it or from it; it came after the limit; the run ended before the limit; the router
draws by lot whom it sends to; or none of these, which is a defect."""

_REMEMBERED = 4096  # settled messages of which hops and late arrivals are still known


class Member(Protocol):
    """A peer's part in a topic, as the account needs it."""

    @property
    def peer(self) -> str:
        """The peer's name."""

    @property
    def peer_id(self) -> PeerId:
        """Its node."""

    @property
    def is_over(self) -> bool:
        """Whether it has left."""

    def targets(self) -> set[PeerId]:
        """Peers that its node passes the topic's messages on to."""


@dataclass(slots=True)
class Sent:
    """A message.

    Attributes:
        number: of the run's messages.
        topic: where.
        sender: the peer's name.
        sent_ns: when its node took it.
        owed: peer id -> the part it had in the topic then.
        unreached: owed peers to whom no path of nodes that pass messages on to the next one led then.
        came_ns: peer id -> when it was read.
        hops: peer id -> links it came over.
        copies: received by nodes, the first ones included.
        missed: peer id -> why it was missed, once the message is settled.
    """

    number: int
    topic: str
    sender: str
    sent_ns: int
    owed: dict[PeerId, Member]
    unreached: frozenset[PeerId]
    came_ns: dict[PeerId, int] = field(default_factory=dict)
    hops: dict[PeerId, int] = field(default_factory=dict)
    copies: int = 0
    missed: dict[PeerId, str] = field(default_factory=dict)


class Ledger:
    """The account of a run.

    Args:
        now_ns: the simulation's time.
        members: gives who is in a topic.
        note: is told of each message that is sent or read, in words, for the digest.
        draws_lots: the router sends to some of those in the topic only, by lot.

    Attributes:
        sent: messages that nodes took.
        owed: deliveries that are owed.
        delivered: of them, those that came in time.
        missed: reason -> those that did not.
        extra: deliveries that were owed to nobody.
        latencies_ns: of each delivery that was owed, since the last `take_latencies`.
        hops: links -> deliveries that came over so many.
        copies: frames with messages that nodes received; more than deliveries, as meshes send several.
        duplicates: those of them that were seen before.
        frames_dropped: frames that links or full queues lost.
        last_sent_ns: topic -> when the last message was sent.
        on_delivery: is told the latency of each delivery, in ns; or None.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        members: Callable[[str], Iterable[Member]],
        note: Callable[..., None],
        *,
        draws_lots: bool = False,
    ) -> None:
        self._now_ns = now_ns
        self._members = members
        self._note = note
        self._draws_lots = draws_lots
        self.sent = 0
        self.owed = 0
        self.delivered = 0
        self.missed: Counter[str] = Counter()
        self.extra = 0
        self.latencies_ns: list[int] = []
        self.hops: Counter[int] = Counter()
        self.copies = 0
        self.duplicates = 0
        self.frames_dropped = 0
        self.last_sent_ns: dict[str, int] = {}
        self.on_delivery: Callable[[int], None] | None = None
        self._messages: dict[bytes, Sent] = {}
        self._settled: deque[bytes] = deque()
        self._open: dict[bytes, Sent] = {}
        self._drops_ns: dict[PeerId, int] = {}  # last frame lost to a peer or from it

    # --- what happens --------------------------------------------------------------------------------------------

    def publish(self, message_id: bytes, topic: str, sender: PeerId) -> None:
        """A node took a message of its own."""
        now_ns = self._now_ns()
        members = {member.peer_id: member for member in self._members(topic)}
        reached = _reached(sender, members)
        name = members[sender].peer if sender in members else ""
        owed = {peer: member for peer, member in members.items() if peer != sender}
        self.sent += 1
        message = Sent(self.sent, topic, name, now_ns, owed, frozenset(owed.keys() - reached))
        message.hops[sender] = 0
        self._messages[message_id] = self._open[message_id] = message
        self.owed += len(owed)
        self.last_sent_ns[topic] = now_ns
        self._note("sent", self.sent, topic, name, len(owed))

    def receive(self, message_id: bytes, peer: PeerId, from_peer: PeerId) -> None:
        """A node accepted a message of another one."""
        message = self._messages.get(message_id)
        self.copies += 1
        if message is not None:
            message.copies += 1
            message.hops[peer] = message.hops.get(from_peer, 0) + 1

    def repeat(self, message_id: bytes) -> None:
        """A node got a message that it had seen."""
        self.copies += 1
        self.duplicates += 1
        message = self._messages.get(message_id)
        if message is not None:
            message.copies += 1

    def read(self, message_id: bytes, peer: PeerId, name: str) -> None:
        """A peer read a message from its subscription."""
        message = self._messages.get(message_id)
        now_ns = self._now_ns()
        if message is None or peer not in message.owed:
            self.extra += 1
            return
        if peer in message.came_ns:
            self.extra += 1  # a message is delivered once
            return
        message.came_ns[peer] = now_ns
        self._note("read", message.number, name, message.hops.get(peer, 0))
        if peer in message.missed:
            self.missed[message.missed[peer]] -= 1
            self.missed[TOO_LATE] += 1
            message.missed[peer] = TOO_LATE
            return
        latency_ns = now_ns - message.sent_ns
        self.latencies_ns.append(latency_ns)
        self.hops[message.hops.get(peer, 0)] += 1
        if self.on_delivery is not None:
            self.on_delivery(latency_ns)

    def drop(self, writer: PeerId, reader: PeerId) -> None:
        """A link, or a full queue, lost a frame."""
        self.frames_dropped += 1
        self._drops_ns[writer] = self._drops_ns[reader] = self._now_ns()

    # --- settling ------------------------------------------------------------------------------------------------

    def settle(self, before_ns: int) -> None:
        """Settle the messages sent until a moment, whose limit is over."""
        for message_id in [one for one, message in self._open.items() if message.sent_ns <= before_ns]:
            self._settle(message_id, has_ended=False)

    def end(self) -> None:
        """The run is over: settle all that is open."""
        for message_id in list(self._open):
            self._settle(message_id, has_ended=True)

    def _settle(self, message_id: bytes, *, has_ended: bool) -> None:
        message = self._open.pop(message_id)
        for peer, member in message.owed.items():
            if peer in message.came_ns:
                self.delivered += 1
            else:
                reason = message.missed[peer] = self._reason(message, peer, member, has_ended=has_ended)
                self.missed[reason] += 1
        self._settled.append(message_id)
        if len(self._settled) > _REMEMBERED:
            del self._messages[self._settled.popleft()]

    def _reason(self, message: Sent, peer: PeerId, member: Member, *, has_ended: bool) -> str:
        if member.is_over:
            return LEFT
        if self._drops_ns.get(peer, -1) >= 0:
            return DROPPED
        if peer in message.unreached:
            return JOINED_LATE
        if has_ended:
            return UNDER_WAY
        return NOT_CHOSEN if self._draws_lots else UNEXPLAINED

    @property
    def open(self) -> int:
        """Deliveries that are owed and not settled yet."""
        return sum(len(message.owed) for message in self._open.values())

    @property
    def adds_up(self) -> bool:
        """Whether what is owed is what was delivered, missed with a reason, or is still open."""
        settled = self.delivered + self.missed.total() + self.open
        return settled == self.owed and not self.missed[UNEXPLAINED]

    def take_latencies(self) -> list[int]:
        """Return the latencies since the last time, in ns."""
        taken, self.latencies_ns = self.latencies_ns, []
        return taken


def _reached(sender: PeerId, members: dict[PeerId, Member]) -> set[PeerId]:
    """Members to which a path leads from the sender, over nodes that pass messages on to the next one."""
    reached, edge = {sender}, [sender]
    while edge:
        member = members.get(edge.pop())
        if member is not None:
            found = (member.targets() & members.keys()) - reached
            reached |= found
            edge += found
    return reached


class NodeTracer(RawTracer):
    """Tells the account what one node does with messages.

    Attributes:
        own_id: whose it is; set before the node does anything.
    """

    __slots__ = ("_ledger", "own_id")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.own_id: PeerId = PeerId(b"")  # set once the node is there

    def publish_message(self, message: Message) -> None:
        self._ledger.publish(message.id, message.topic, self.own_id)

    def deliver_message(self, message: Message) -> None:
        if message.received_from != self.own_id:
            self._ledger.receive(message.id, self.own_id, message.received_from)

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:
        self._ledger.repeat(message_id)

    def undeliverable_message(self, message: Message) -> None:
        self._ledger.drop(message.received_from, self.own_id)

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        self._ledger.drop(peer, self.own_id)

    def throttle_peer(self, peer: PeerId) -> None:
        self._ledger.drop(peer, self.own_id)

    def drop_rpc(self, peer: PeerId, frame: bytes) -> None:
        self._ledger.drop(self.own_id, peer)


class LossWatcher:
    """Tells the account of frames that links lose."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def connected(self, one: PeerId, other: PeerId) -> None:
        """Nothing is owed because of a connection."""

    def disconnected(self, one: PeerId, other: PeerId) -> None:
        """Nor missed: who is cut off is unreached, or has left."""

    def lost(self, writer: PeerId, reader: PeerId, frame: bytes) -> None:
        """A frame was lost."""
        self._ledger.drop(writer, reader)
