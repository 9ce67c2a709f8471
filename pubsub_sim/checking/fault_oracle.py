"""The oracle of fault runs: checks delivery from the trace and the messages read, without code of routers.

The trace contains events of hosts (`HostTrace`) and of the network ("connect", "disconnect" and "lose_rpc"). Every rule is
about one step of a message's path, and permits a missing step only with a cause in the trace:

1. Publishing: a message whose publish returned is delivered at its author, unless that host crashes at the same time.
2. Forwarding: a host that delivers a message sends it, in the same turn, to every required peer except its sender and
   author: with floodsub, peers with an open stream that announced the topic; with gossipsub, the mesh. The only
   exception is a full queue, which is in the trace ("drop_rpc").
3. Transport: frames of one host to another are handled byte for byte as sent, in order, each once. The only exceptions
   are frames that the network lost, and frames of a connection that was down when they were sent or was cut before any
   later frame was handled. Hellos and announcements are excluded: hellos are sent without a trace, and the effect of
   both is checked by rule 2 and after the faults.
4. Receiving: a message handled by a host in the topic is delivered there, unless the host wrote it in an earlier life,
   its validation queue was full, or it crashes at the same time.
5. Reading: a subscription reads exactly what its host delivered, in that order, nothing twice within a life of the
   host, each with the payload and author it was published with, a valid signature and the same bytes everywhere.
6. Recovery: in the end connected hosts have streams to each other and each other's announcements; messages published
   after the faults, when all hosts are ready, are read by every host.

Together, rules 1 to 5 mean that a message reaches every host to which a path of sent frames leads, none of them lost to a
fault or a full queue. Repair by IHAVE and IWANT in gossipsub is not required, as it is not guaranteed to be in time; but
once a repaired message arrives, rules 4, 2 and 5 apply to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.validation import Reason
from pubsub_sim.wire.message import Message, author_and_seqno
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.signing import is_signature_valid
from pubsub_sim.world.trace import TraceEvent

_MOST = 20  # sentences per run


@dataclass(frozen=True)
class Life:
    """The messages read in one life of a host.

    Attributes:
        host: its number.
        life: number of earlier restarts.
        read: the messages of its subscription, in order.
    """

    host: int
    life: int
    read: Sequence[Message]


@dataclass(frozen=True, kw_only=True, repr=False)  # the repr would be as long as the trace
class Evidence:
    """The observations of a run.

    Attributes:
        router: "floodsub" or "gossipsub".
        peer_ids: the peer ids of the hosts, by number.
        trace: trace of the world, including events of the network.
        authors: number of the host by payload, for every attempted publish.
        published: payloads of those that returned.
        last: payloads of those published after the faults, when all hosts were ready.
        lives: of all hosts.
        crash_grace_ns: how long a host may be at work on a message, none of which is owed by one that crashes meanwhile;
            0 on virtual time.
    """

    router: str
    peer_ids: Sequence[PeerId]
    trace: Sequence[TraceEvent]
    authors: Mapping[bytes, int]
    published: Sequence[bytes]
    last: Sequence[bytes]
    lives: Sequence[Life]
    crash_grace_ns: int = 0


def judge(evidence: Evidence) -> list[str]:
    """Return the violations of the module's rules as sentences."""
    steps = _Steps(evidence)
    for event in evidence.trace:
        steps.take(event)
    steps.end()
    broken = [*steps.broken, *_reading(evidence, steps.delivered), *_recovery(evidence)]
    more = len(broken) - _MOST
    return [*broken[:_MOST], f"and {more} more"] if more > 0 else broken


@dataclass
class _Host:
    """The state of a host in its current life, from the trace."""

    life: int = 0
    is_in_topic: bool = False
    open: dict[int, None] = field(default_factory=dict)  # peers with an open stream
    announced: dict[int, None] = field(default_factory=dict)
    mesh: dict[int, None] = field(default_factory=dict)
    delivered: dict[bytes, None] = field(default_factory=dict)
    owed: dict[bytes, tuple[int, str]] = field(default_factory=dict)  # pending deliveries: start time and reason
    handled: Sequence[bytes] = ()  # ids in the current RPC
    forwarding: bytes = b""  # the current message, followed by the peers it must still be sent to
    receivers: dict[int, None] = field(default_factory=dict)


@dataclass
class _Sent:
    """A frame that was sent and has not been handled."""

    frame: bytes
    time_ns: int
    is_excused: bool


class _Frames:
    """A cache of the contents of frames, many of which are equal."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[RPC, tuple[bytes, ...]]] = {}

    def ids(self, frame: bytes) -> tuple[bytes, ...]:
        """Return the ids of its messages."""
        return self._parsed(frame)[1]

    def announcements(self, frame: bytes) -> Sequence[RPC.SubOpts]:
        """Return the subscriptions in a hello or an announcement; empty for other RPCs."""
        return self._parsed(frame)[0].subscriptions

    def told(self, frame: bytes) -> str:
        """Return a description of a frame."""
        return f"an RPC of {len(frame)} bytes ({', '.join(map(_name, self.ids(frame))) or 'control only'})"

    def _parsed(self, frame: bytes) -> tuple[RPC, tuple[bytes, ...]]:
        known = self._known.get(frame)
        if known is None:
            rpc = RPC.FromString(frame)
            known = self._known[frame] = rpc, tuple(author_and_seqno(message) for message in rpc.publish)
        return known


class _Steps:
    """The check of rules 1 to 4, event by event, and of the peers' knowledge for rule 6.

    Attributes:
        broken: the violations found.
        delivered: ids delivered in each life of each host, in order.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._router = evidence.router
        self._grace_ns = evidence.crash_grace_ns
        self._ids = evidence.peer_ids
        self._numbers = {peer: number for number, peer in enumerate(evidence.peer_ids)}
        self._frames = _Frames()
        self._hosts = [_Host() for _ in evidence.peer_ids]
        self._linked: dict[tuple[int, int], None] = {}
        self._lanes: dict[tuple[int, int], list[_Sent]] = {}
        self._takes: dict[str, Callable[[TraceEvent, _Host], None]] = {
            name.removeprefix("_take_"): getattr(self, name) for name in dir(self) if name.startswith("_take_")
        }
        self.broken: list[str] = []
        self.delivered: dict[tuple[int, int], list[bytes]] = {}

    def take(self, event: TraceEvent) -> None:
        """Process the next event."""
        if event.host >= 0:
            host = self._hosts[event.host]
            if event.kind not in _WHILE_FORWARDING and host.receivers:
                self._forwarded(event.host, host)
        take = self._takes.get(event.kind)
        if take is not None:
            take(event, self._hosts[event.host])

    def end(self) -> None:
        """Check that nothing is missing, as the world is at rest."""
        for a, b in (pair for linked in self._linked for pair in (linked, linked[::-1])):
            for what, table in (("stream to", self._hosts[a].open), ("announcement of", self._hosts[a].announced)):
                if b not in table:
                    self._break(None, f"host {a} is connected with host {b} and has no {what} it after the faults")
        for number, host in enumerate(self._hosts):
            self._forwarded(number, host)
            self._life_ends(number, host, None)
        for (writer, reader), sent in self._lanes.items():
            for frame in sent:
                if not frame.is_excused:
                    self._break(
                        frame.time_ns,
                        f"host {writer} sent host {reader} {self._frames.told(frame.frame)}: never handled",
                    )

    # --- hosts ---------------------------------------------------------------------------------------------------

    def _take_add_peer(self, event: TraceEvent, host: _Host) -> None:
        host.open[self._numbers[PeerId(event.peer)]] = None

    def _take_remove_peer(self, event: TraceEvent, host: _Host) -> None:
        peer = self._numbers[PeerId(event.peer)]
        for table in (host.open, host.announced, host.mesh):
            table.pop(peer, None)

    def _take_join(self, event: TraceEvent, host: _Host) -> None:
        host.is_in_topic = True

    def _take_graft(self, event: TraceEvent, host: _Host) -> None:
        host.mesh[self._numbers[PeerId(event.peer)]] = None

    def _take_prune(self, event: TraceEvent, host: _Host) -> None:
        host.mesh.pop(self._numbers[PeerId(event.peer)], None)

    def _take_crash(self, event: TraceEvent, host: _Host) -> None:
        self._life_ends(event.host, host, event.time_ns)
        self._hosts[event.host] = _Host(host.life + 1)

    def _life_ends(self, number: int, host: _Host, time_ns: int | None) -> None:
        self.delivered[number, host.life] = list(host.delivered)
        for message_id, (since_ns, why) in host.owed.items():
            if time_ns is None or since_ns < time_ns - self._grace_ns:
                self._break(since_ns, f"host {number} {why} {_name(message_id)} and did not deliver it")

    # --- messages ------------------------------------------------------------------------------------------------

    def _take_publish_message(self, event: TraceEvent, host: _Host) -> None:
        host.owed[_bytes(event)] = (event.time_ns, "published")

    def _take_deliver_message(self, event: TraceEvent, host: _Host) -> None:
        message_id = _bytes(event)
        if message_id in host.delivered:
            self._break(event.time_ns, f"host {event.host} delivered {_name(message_id)} twice")
        host.delivered[message_id] = None
        host.owed.pop(message_id, None)
        must = host.mesh if self._router == "gossipsub" else host.announced
        spared = (event.peer, message_id[:-8])
        host.forwarding = message_id
        host.receivers = {
            peer: None for peer in must if (peer in host.open or must is host.mesh) and self._ids[peer] not in spared
        }

    def _forwarded(self, number: int, host: _Host) -> None:
        for peer in host.receivers:
            self._break(None, f"host {number} delivered {_name(host.forwarding)} and did not send it to host {peer}")
        host.receivers = {}

    def _take_reject_message(self, event: TraceEvent, host: _Host) -> None:
        if event.detail == Reason.QUEUE_FULL:
            for message_id in host.handled:
                host.owed.pop(message_id, None)

    def _take_undeliverable_message(self, event: TraceEvent, host: _Host) -> None:
        self._break(event.time_ns, f"host {event.host} had no room for {_name(_bytes(event))} in its subscription")

    # --- frames --------------------------------------------------------------------------------------------------

    def _take_connect(self, event: TraceEvent, host: _Host) -> None:
        self._linked[self._pair(event)] = None

    def _take_disconnect(self, event: TraceEvent, host: _Host) -> None:
        a, b = self._pair(event)
        self._linked.pop((a, b), None)
        for lane in ((a, b), (b, a)):
            for sent in self._lanes.get(lane, ()):
                sent.is_excused = True

    def _take_send_rpc(self, event: TraceEvent, host: _Host) -> None:
        frame, peer = _bytes(event), self._numbers[PeerId(event.peer)]
        self._discard_receiver(host, frame, peer)
        if not self._frames.announcements(frame):
            is_excused = (min(event.host, peer), max(event.host, peer)) not in self._linked
            self._lanes.setdefault((event.host, peer), []).append(_Sent(frame, event.time_ns, is_excused))

    def _take_drop_rpc(self, event: TraceEvent, host: _Host) -> None:
        self._discard_receiver(host, _bytes(event), self._numbers[PeerId(event.peer)])

    def _discard_receiver(self, host: _Host, frame: bytes, peer: int) -> None:
        if peer in host.receivers and host.forwarding in self._frames.ids(frame):
            del host.receivers[peer]

    def _take_lose_rpc(self, event: TraceEvent, host: _Host) -> None:
        frame, reader = _bytes(event), self._numbers[PeerId(event.peer)]
        if not self._frames.announcements(frame):
            sent = self._lanes.get((event.host, reader), [])
            place = _place(sent, frame)
            if place is None:
                self._break(
                    event.time_ns, f"the network lost {self._frames.told(frame)} that host {event.host} did not send"
                )
            else:
                del sent[place]

    def _take_recv_rpc(self, event: TraceEvent, host: _Host) -> None:
        frame, writer = _bytes(event), self._numbers[PeerId(event.peer)]
        for option in self._frames.announcements(frame):
            if option.subscribe:
                host.announced[writer] = None
            else:
                host.announced.pop(writer, None)
        if not self._frames.announcements(frame):
            self._carried(event, writer, frame)
        host.handled = self._frames.ids(frame)
        own = self._ids[event.host]
        for message_id in host.handled:
            if host.is_in_topic and message_id not in host.delivered and message_id[:-8] != own:
                host.owed.setdefault(message_id, (event.time_ns, f"was sent by host {writer}"))

    def _carried(self, event: TraceEvent, writer: int, frame: bytes) -> None:
        sent = self._lanes.get((writer, event.host), [])
        place = _place(sent, frame)
        if place is None:
            self._break(
                event.time_ns, f"host {event.host} handled {self._frames.told(frame)} that host {writer} did not send"
            )
            return
        for passed in sent[:place]:
            if not passed.is_excused:
                what = f"{self._frames.told(passed.frame)}: not handled before what came after it"
                self._break(passed.time_ns, f"host {writer} sent host {event.host} {what}")
        del sent[: place + 1]

    def _pair(self, event: TraceEvent) -> tuple[int, int]:
        peer = self._numbers[PeerId(event.peer)]
        return min(event.host, peer), max(event.host, peer)

    def _break(self, time_ns: int | None, what: str) -> None:
        self.broken.append(what if time_ns is None else f"{time_ns / 1e9:.9f} s: {what}")


_WHILE_FORWARDING = ("send_rpc", "drop_rpc", "undeliverable_message", "lose_rpc", "connect", "disconnect")


def _place(sent: Sequence[_Sent], frame: bytes) -> int | None:
    """Return the position of a frame among those in transit: of equal ones the oldest that must arrive, else the oldest."""
    places = [place for place, other in enumerate(sent) if other.frame == frame]
    return next((place for place in places if not sent[place].is_excused), places[0] if places else None)


def _reading(evidence: Evidence, delivered: Mapping[tuple[int, int], Sequence[bytes]]) -> Iterable[str]:
    """Check rule 5, and the part of rule 1 that a publish that returned is in the trace."""
    known: dict[bytes, bytes] = {}  # encoded message of the first reader, by id
    for life in evidence.lives:
        who = f"host {life.host} in life {life.life}"
        ids = [message.id for message in life.read]
        expected = delivered.get((life.host, life.life), ())
        is_over = (life.host, life.life + 1) in delivered  # a crashing host's last turn is not in the trace
        if list(expected) != (ids[: len(expected)] if is_over else ids):
            yield f"{who} delivered {len(expected)} messages and read {len(ids)}, or others, or in another order"
        if len(set(ids)) != len(ids):
            yield f"{who} read a message twice"
        for message in life.read:
            encoded = message.wire.SerializeToString()
            if message.id not in known:
                known[message.id] = encoded
                if not _is_as_published(evidence, message):
                    yield f"{who} read {_name(message.id)}, not as it was published: {message!r}"
            elif known[message.id] != encoded or message.data != message.wire.data:
                yield f"{who} read {_name(message.id)} otherwise than others: {message!r}"
    published = {event.detail for event in evidence.trace if event.kind == "publish_message"}
    if len(published) < len(evidence.published):
        yield f"{len(evidence.published)} messages were published, and the trace has {len(published)}"


def _is_as_published(evidence: Evidence, message: Message) -> bool:
    author = evidence.authors.get(message.data)
    return (
        author is not None
        and message.source == evidence.peer_ids[author]
        and message.data == message.wire.data
        and message.id == author_and_seqno(message.wire)
        and bool(message.signature)
        and is_signature_valid(message.wire)
    )


def _recovery(evidence: Evidence) -> Iterable[str]:
    """Check rule 6."""
    present = {life.host: life for life in evidence.lives}  # the last life of each
    for number in range(len(evidence.peer_ids)):
        read = {message.data for message in present[number].read} if number in present else set()
        for payload in evidence.last:
            if payload not in read:
                yield f"host {number} did not read {payload!r}, published after the faults"


def _bytes(event: TraceEvent) -> bytes:
    assert isinstance(event.detail, bytes), event
    return event.detail


def _name(message_id: bytes) -> str:
    return f"message {message_id.hex()[-20:]}"
