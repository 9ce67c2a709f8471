"""The port between a host's core and its router (floodsub, randomsub or gossipsub), and how routers send messages."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC


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


class Router(Protocol):
    """The routing of messages. Called inside a turn of the host, never concurrently; views may be read at any time."""

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

    def attach(self, core: Core) -> None:
        """Set the core of this router; called once."""

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
    """The base of routers without a mesh: no timers, no control messages, no refused peers."""

    timers: Sequence[RouterTimer] = ()
    evaluators: Sequence[RawTracer] = ()
    previews = False
    mesh: Mapping[str, Sequence[PeerId]] = {}
    fanout: Mapping[str, Sequence[PeerId]] = {}
    scores: Mapping[PeerId, float] = {}

    def __init__(self) -> None:
        self._core: Core

    def attach(self, core: Core) -> None:
        """Store the core."""
        self._core = core

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Do nothing."""

    def remove_peer(self, peer: PeerId) -> None:
        """Do nothing."""

    def peer_left(self, peer: PeerId, topic: str) -> None:
        """Do nothing: receivers are selected from the topic's peers each time."""

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


def send_message(core: Core, message: Message, peers: Iterable[PeerId]) -> None:
    """Send a message to peers, except to its sender and its author; a full queue drops it."""
    frame = message.frame  # encoded once, shared by all peers
    outboxes = core.peers
    sender, author = message.received_from, message.source
    if core.tracer is not None:
        for peer in peers:
            if peer not in (sender, author) and peer in outboxes:
                core.send(peer, frame)
        return
    for peer in peers:
        if peer == sender or peer == author:  # noqa: SIM109 - a tuple per peer costs more than the comparison
            continue
        outbox = outboxes.get(peer)
        if outbox is not None:
            outbox.push(frame)
