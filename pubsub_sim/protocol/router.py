"""The seam between a host's core and its router (floodsub, randomsub or gossipsub), and how routers send messages.

`Router` is what the core asks of a router, `RouterContext` is all that a router may ask of its host and do to it. A router
imports nothing of the core.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pubsub_sim.foreign import ForeignCode
    from pubsub_sim.ids import PeerId
    from pubsub_sim.ports import Rng
    from pubsub_sim.protocol.operations import Outbox
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
    from pubsub_sim.wire.sealed import Frame


class Acceptance(enum.Enum):
    """The parts of a peer's RPC to process, besides its subscriptions."""

    NONE = 0
    CONTROL = 1
    ALL = 2


@dataclass(frozen=True, kw_only=True)
class RouterTimer:
    """A timer of a router, which runs in turns of its host.

    Attributes:
        first_s: delay of the first run after the host's start.
        every_s: interval of further runs; None runs once.
        action: the action.
    """

    first_s: float
    every_s: float | None
    action: Callable[[], None]


class RouterContext(Protocol):
    """What a router may ask of its host and do to it. Nothing here waits; tables are read, never changed, by a router.

    The core of the host is one. Routers ask for most of it for every message, so that tables are plain attributes.
    """

    @property
    def peer_id(self) -> PeerId:
        """Who the host is."""

    @property
    def params(self) -> HostParams:
        """The host's options."""

    @property
    def peers(self) -> Mapping[PeerId, Outbox]:
        """Peers that the host has an outbound stream to, or is opening one to, with its queue."""

    @property
    def topics(self) -> Mapping[str, Mapping[PeerId, None]]:
        """Topic -> the peers that announced it, in the order they did; with an outbound stream to them or not."""

    @property
    def tracer(self) -> RawTracer | None:
        """Is told of what the router decides (grafts, prunes)."""

    @property
    def rng(self) -> Rng:
        """The host's seeded chance."""

    @property
    def foreign(self) -> ForeignCode:
        """Keeps account of what users' functions raise."""

    @property
    def not_seen(self) -> Callable[[Sequence[bytes]], list[bytes]]:
        """Those of some message ids that are not remembered, in order."""

    @property
    def seals(self) -> bool:
        """Whether RPCs are sent as objects (see `wire.sealed`)."""

    @property
    def id_for_evaluation(self) -> Callable[[WireMessage], bytes]:
        """The id of a peer's message; author and sequence number if the function that gives ids fails on it."""

    @property
    def now_ns(self) -> Callable[[], int]:
        """Monotonic time, in ns."""

    @property
    def is_outbound(self) -> Callable[[PeerId], bool]:
        """Whether there is a connection to a peer that the host dialled."""

    @property
    def addresses(self) -> Callable[[PeerId], Sequence[str]]:
        """The IP addresses of the connections to a peer."""

    @property
    def dial(self) -> Callable[[PeerId], bool]:
        """Connect to a peer in the background, unless the host is connected; False if too many dials wait."""

    def send(self, peer: PeerId, frame: Frame) -> bool:
        """Queue a frame to one of `peers`, and tell the tracer; False (and lost) if its queue is full."""

    def send_urgent(self, peer: PeerId, frame: Frame) -> bool:
        """Like `send`, but ahead of what waits and is not urgent."""

    @property
    def trace_sending(self) -> Callable[[PeerId, bytes], object] | None:
        """Tells the tracer of a frame that was queued; None if it does not hear of that."""

    def report_drop(self, peer: PeerId, frame: Frame) -> bool:
        """Tell of a frame that is lost other than by `send`; gives False."""


class Router(Protocol):
    """The routing of messages. Called inside a turn of the host, never concurrently; views may be read at any time.

    Optional members make simulated worlds faster:

    - `handle_offer` takes RPCs that are nothing but an IHAVE, as they were sealed (see `wire.sealed`), instead of
      `handle_control`. A class must define both itself, as a subclass that reads more of an RPC needs more of it.
    - `settle_offer` does the same outside turns, and returns False if it would do more than count.
    - `accepts_all`, read once the router is attached, says that `accept_from` accepts everything from every peer, and always
      will; it is not called then.
    """

    @property
    def protocols(self) -> Sequence[str]:
        """Protocol ids, preferred first."""

    @property
    def timers(self) -> Sequence[RouterTimer]:
        """Its timers; read when the host starts."""

    @property
    def evaluators(self) -> Sequence[RawTracer]:
        """Tracers that evaluate peers by the host's decisions: scores, promises, a gater."""

    @property
    def previews(self) -> bool:
        """Whether `preprocess` must be called."""

    @property
    def mesh(self) -> Mapping[str, Sequence[PeerId]]:
        """View: the members of each topic's mesh; empty for a router without meshes."""

    @property
    def fanout(self) -> Mapping[str, Sequence[PeerId]]:
        """View: receivers of messages published to topics this host has not joined; empty without meshes."""

    @property
    def scores(self) -> Mapping[PeerId, float]:
        """View: the score of each known peer; empty for a router without scoring."""

    def attach(self, context: RouterContext) -> None:
        """The host this router works for; called once, before anything else."""

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Add a peer whose outbound stream is open."""

    def remove_peer(self, peer: PeerId) -> None:
        """Remove a peer."""

    def peer_left(self, peer: PeerId, topic: str) -> None:
        """Note that a peer announced leaving a topic."""

    def has_enough_peers(self, topic: str, suggested: int) -> bool:
        """Return whether a publish would reach enough peers; `suggested` 0 means the router's default."""

    def accept_from(self, peer: PeerId) -> Acceptance:
        """Return the parts of a peer's RPC to process."""

    def preprocess(self, peer: PeerId, messages: Sequence[Message]) -> None:
        """Process new messages of a peer or of this host before validation."""

    def handle_control(self, peer: PeerId, rpc: RPC, now_ns: int) -> None:
        """Handle the control part of an RPC."""

    def publish(self, message: Message) -> None:
        """Forward a message."""

    def join(self, topic: str) -> None:
        """Join a topic."""

    def leave(self, topic: str) -> None:
        """Leave a topic."""


class MeshlessRouter:
    """What routers have in common that keep no mesh: nothing by the clock, no control messages, nobody refused.

    Attributes:
        context: the host it works for.
    """

    timers: Sequence[RouterTimer] = ()
    evaluators: Sequence[RawTracer] = ()
    previews = False
    mesh: Mapping[str, Sequence[PeerId]] = {}
    fanout: Mapping[str, Sequence[PeerId]] = {}
    scores: Mapping[PeerId, float] = {}

    def __init__(self) -> None:
        self.context: RouterContext

    def attach(self, context: RouterContext) -> None:
        """Keep the context for later calls."""
        self.context = context

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Do nothing."""

    def remove_peer(self, peer: PeerId) -> None:
        """Do nothing."""

    def peer_left(self, peer: PeerId, topic: str) -> None:
        """Do nothing: receivers are selected from the topic's peers each time."""

    @property
    def accepts_all(self) -> bool:
        """Whether `accept_from` is this one."""
        return type(self).accept_from is MeshlessRouter.accept_from

    def accept_from(self, peer: PeerId) -> Acceptance:
        """Accept everything from every peer."""
        return Acceptance.ALL

    def preprocess(self, peer: PeerId, messages: Sequence[Message]) -> None:
        """Do nothing."""

    def handle_control(self, peer: PeerId, rpc: RPC, now_ns: int) -> None:
        """Ignore the control part."""

    def join(self, topic: str) -> None:
        """Do nothing."""

    def leave(self, topic: str) -> None:
        """Do nothing."""


class Scoring(Protocol):
    """The scoring of peers required by gossipsub."""

    def score(self, peer: PeerId) -> float:
        """Return a peer's current score; 0 for an unknown peer."""

    def add_penalty(self, peer: PeerId, count: int) -> None:
        """Add penalties for a peer's misbehaviour."""


class Promises(Protocol):
    """The tracking of promises required by gossipsub."""

    def add(self, peer: PeerId, message_ids: Sequence[bytes]) -> None:
        """Track a request for messages offered by a peer."""

    def broken(self, now_ns: int) -> Mapping[PeerId, int]:
        """Return the number of promises broken since the last call, by peer."""


class Gater(Protocol):
    """The protection against overload required by gossipsub."""

    def accept_from(self, peer: PeerId) -> Acceptance:
        """Return the parts of a peer's RPC to process."""


def send_message(context: RouterContext, message: Message, peers: Iterable[PeerId]) -> None:
    """Send a message to peers, except to its sender and its author; a full queue drops it."""
    frame = message.frame  # encoded once, shared by all peers
    outboxes = context.peers
    sender, author = message.received_from, message.source
    if context.trace_sending is not None:
        for peer in peers:
            if peer not in (sender, author) and peer in outboxes:
                context.send(peer, frame)
        return
    for peer in peers:
        if peer == sender or peer == author:  # noqa: SIM109 - a tuple per peer costs more than the comparison
            continue
        outbox = outboxes.get(peer)
        if outbox is not None and not outbox.push(frame):
            context.report_drop(peer, frame)
