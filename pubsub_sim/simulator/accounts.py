"""The account of messages: expected deliveries, actual deliveries with their paths, and reasons for missed ones.

A message is owed to the peers in its topic when the sender's node accepts it, except the sender. Each owed delivery is settled
once, after the delivery limit or at the end of the run: delivered, or missed for one of `REASONS`. Therefore always

    owed = delivered + missed + open

A delivery missed without a reason is reported as a defect. Membership of topics is read from the peers, without a second copy.
Deliveries that are not owed, such as to a peer that joined later, are `extra`.
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
"""Reasons for a missed message: the peer left; it joined too recently to be reachable through meshes or peers that knew it; a
link or a full queue lost a frame to or from it; the message arrived after the limit; the run ended before the limit; the router
selects receivers randomly; or none of these, which is a defect."""

_REMEMBERED = 4096  # settled messages whose hops and late arrivals are kept


class Member(Protocol):
    """The interface of a peer's membership in a topic to the account."""

    @property
    def peer(self) -> str:
        """The peer's name."""

    @property
    def peer_id(self) -> PeerId:
        """The id of its node."""

    @property
    def is_over(self) -> bool:
        """Whether it has left."""

    def targets(self) -> set[PeerId]:
        """Return the peers to which its node forwards the topic's messages."""


@dataclass(slots=True)
class Sent:
    """A message.

    Attributes:
        number: of the run's messages.
        topic: its topic.
        sender: name of the sending peer.
        sent_ns: time of acceptance by its node.
        owed: memberships at that time by peer id.
        unreached: owed peers without a forwarding path at that time.
        came_ns: time of reading by peer id.
        hops: number of links by peer id.
        copies: copies received by nodes, including first ones.
        missed: reasons by peer id, once the message is settled.
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
        members: returns the members of a topic.
        note: called with a description of each message sent or read, for the digest.
        draws_lots: whether the router sends to a random selection of a topic's peers.

    Attributes:
        sent: messages accepted by nodes.
        owed: owed deliveries.
        delivered: owed deliveries in time.
        missed: missed deliveries by reason.
        extra: deliveries that were not owed.
        latencies_ns: latencies of owed deliveries since the last `take_latencies`.
        hops: deliveries by number of links.
        copies: message frames received by nodes; more than deliveries, as meshes send several.
        duplicates: copies that were seen before.
        frames_dropped: frames lost by links or full queues.
        last_sent_ns: time of the last message by topic.
        on_delivery: called with the latency of each delivery, in ns; or None.
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
        self._drops_ns: dict[PeerId, int] = {}  # time of the last frame lost to or from a peer

    # --- events --------------------------------------------------------------------------------------------------

    def publish(self, message_id: bytes, topic: str, sender: PeerId) -> None:
        """Record that a node accepted an own message."""
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
        """Record that a node accepted a message of another node."""
        message = self._messages.get(message_id)
        self.copies += 1
        if message is not None:
            message.copies += 1
            message.hops[peer] = message.hops.get(from_peer, 0) + 1

    def repeat(self, message_id: bytes) -> None:
        """Record a duplicate at a node."""
        self.copies += 1
        self.duplicates += 1
        message = self._messages.get(message_id)
        if message is not None:
            message.copies += 1

    def read(self, message_id: bytes, peer: PeerId, name: str) -> None:
        """Record that a peer read a message from its subscription."""
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
        """Record a frame lost by a link or a full queue."""
        self.frames_dropped += 1
        self._drops_ns[writer] = self._drops_ns[reader] = self._now_ns()

    # --- settling ------------------------------------------------------------------------------------------------

    def settle(self, before_ns: int) -> None:
        """Settle the messages sent until a time, whose limit is over."""
        for message_id in [one for one, message in self._open.items() if message.sent_ns <= before_ns]:
            self._settle(message_id, has_ended=False)

    def end(self) -> None:
        """Settle all open deliveries at the end of the run."""
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
        """Number of owed deliveries not settled yet."""
        return sum(len(message.owed) for message in self._open.values())

    @property
    def adds_up(self) -> bool:
        """Whether owed deliveries equal those delivered, missed with a reason, or open."""
        settled = self.delivered + self.missed.total() + self.open
        return settled == self.owed and not self.missed[UNEXPLAINED]

    def take_latencies(self) -> list[int]:
        """Return the latencies since the last call, in ns."""
        taken, self.latencies_ns = self.latencies_ns, []
        return taken


def _reached(sender: PeerId, members: dict[PeerId, Member]) -> set[PeerId]:
    """Return the members reachable from the sender over forwarding nodes."""
    reached, edge = {sender}, [sender]
    while edge:
        member = members.get(edge.pop())
        if member is not None:
            found = (member.targets() & members.keys()) - reached
            reached |= found
            edge += found
    return reached


class NodeTracer(RawTracer):
    """A tracer that reports a node's messages to the account.

    Attributes:
        own_id: id of the node; set before its first event.
    """

    __slots__ = ("_ledger", "own_id")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.own_id: PeerId = PeerId(b"")  # set once the node is created

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
    """A watcher that reports frames lost by links to the account."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def connected(self, one: PeerId, other: PeerId) -> None:
        """Ignore a new connection."""

    def disconnected(self, one: PeerId, other: PeerId) -> None:
        """Ignore a lost connection: a disconnected peer is unreached, or has left."""

    def lost(self, writer: PeerId, reader: PeerId, frame: bytes) -> None:
        """Report a lost frame."""
        self._ledger.drop(writer, reader)
