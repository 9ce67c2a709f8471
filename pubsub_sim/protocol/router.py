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
    from pubsub_sim.wire.sealed import ReadableRPC


class Acceptance(enum.Enum):
    """What of a peer's RPC is looked at, beside its subscriptions."""

    NONE = 0
    CONTROL = 1
    ALL = 2


@dataclass(frozen=True, kw_only=True)
class RouterTimer:
    """Something a router does by the clock, in turns of its host.

    Attributes:
        first_s: pause before the first time, from the host's start.
        every_s: pause between times; None for only once.
        action: what is done.
    """

    first_s: float
    every_s: float | None
    action: Callable[[], None]


class Router(Protocol):
    """Where messages go. Called inside a turn of the host, never concurrently; the views may be read any time.

    One that reads no more of an RPC than its parts, as decoded ones and sealed ones have them (`wire.sealed`), may say so by an
    attribute `reads_sealed` of its class; one without it is given decoded ones only.
    """

    @property
    def protocols(self) -> Sequence[str]:
        """Protocol ids, preferred first."""

    @property
    def timers(self) -> Sequence[RouterTimer]:
        """What it does by the clock; read when the host starts."""

    @property
    def evaluators(self) -> Sequence[RawTracer]:
        """Who must be told what the host decides, so that it can evaluate peers: scores, promises, a gater."""

    @property
    def previews(self) -> bool:
        """Whether `preprocess` is to be called."""

    @property
    def mesh(self) -> Mapping[str, Sequence[PeerId]]:
        """View: the members of each topic's mesh; empty for a router without meshes."""

    @property
    def fanout(self) -> Mapping[str, Sequence[PeerId]]:
        """View: where messages of topics go that we publish to without taking part; empty without meshes."""

    @property
    def scores(self) -> Mapping[PeerId, float]:
        """View: the score of each peer the router knows; empty for a router that scores nobody."""

    def attach(self, core: Core) -> None:
        """The core this router works for; called once."""

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """The outbound stream to a peer is open."""

    def remove_peer(self, peer: PeerId) -> None:
        """A peer is gone."""

    def peer_left(self, peer: PeerId, topic: str) -> None:
        """A peer takes part in a topic no longer, and has said so."""

    def has_enough_peers(self, topic: str, suggested: int) -> bool:
        """Whether a publish would reach enough peers; `suggested` 0 means the router's own idea."""

    def accept_from(self, peer: PeerId) -> Acceptance:
        """How much of a peer's RPC to look at."""

    def preprocess(self, peer: PeerId, messages: Sequence[Message]) -> None:
        """Messages from a peer, or our own, that are fresh and about to be validated."""

    def handle_control(self, peer: PeerId, rpc: ReadableRPC, now_ns: int) -> None:
        """React to the control part of an RPC."""

    def publish(self, message: Message) -> None:
        """Send a message on."""

    def join(self, topic: str) -> None:
        """We take part in a topic."""

    def leave(self, topic: str) -> None:
        """We no longer take part."""


class MeshlessRouter:
    """What routers have in common that keep no mesh: nothing by the clock, no control messages, nobody refused."""

    timers: Sequence[RouterTimer] = ()
    evaluators: Sequence[RawTracer] = ()
    previews = False
    mesh: Mapping[str, Sequence[PeerId]] = {}
    fanout: Mapping[str, Sequence[PeerId]] = {}
    scores: Mapping[PeerId, float] = {}

    def __init__(self) -> None:
        self._core: Core

    def attach(self, core: Core) -> None:
        """Keep the core for later calls."""
        self._core = core

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Do nothing."""

    def remove_peer(self, peer: PeerId) -> None:
        """Do nothing."""

    def peer_left(self, peer: PeerId, topic: str) -> None:
        """Do nothing: whoever is chosen is looked up among the topic's peers each time."""

    def accept_from(self, peer: PeerId) -> Acceptance:
        """Accept everything from every peer."""
        return Acceptance.ALL

    def preprocess(self, peer: PeerId, messages: Sequence[Message]) -> None:
        """Do nothing."""

    def handle_control(self, peer: PeerId, rpc: ReadableRPC, now_ns: int) -> None:
        """Ignore the control part."""

    def join(self, topic: str) -> None:
        """Do nothing."""

    def leave(self, topic: str) -> None:
        """Do nothing."""


class Scoring(Protocol):
    """What gossipsub asks of whoever scores its peers."""

    def score(self, peer: PeerId) -> float:
        """A peer's score now; 0 for one that is not known."""

    def add_penalty(self, peer: PeerId, count: int) -> None:
        """A peer misbehaved so many times."""


class Promises(Protocol):
    """What gossipsub asks of whoever remembers what peers offered to send."""

    def add(self, peer: PeerId, message_ids: Sequence[bytes]) -> None:
        """We have asked a peer for messages it offered."""

    def broken(self, now_ns: int) -> Mapping[PeerId, int]:
        """How many promises each peer has broken since the last call."""


class Gater(Protocol):
    """What gossipsub asks of whoever guards against overload."""

    def accept_from(self, peer: PeerId) -> Acceptance:
        """How much of a peer's RPC to look at."""


def send_message(core: Core, message: Message, peers: Iterable[PeerId]) -> None:
    """Send a message to peers, except to its sender and its author; a full queue drops it."""
    frame = message.frame  # encoded once, shared by all peers
    outboxes = core.peers
    sender, author = message.received_from, message.source
    if core.trace_sending is not None:
        for peer in peers:
            if peer not in (sender, author) and peer in outboxes:
                core.send(peer, frame)
        return
    for peer in peers:
        if peer == sender or peer == author:  # noqa: SIM109 - a tuple per peer costs more than the comparison
            continue
        outbox = outboxes.get(peer)
        if outbox is not None and not outbox.push(frame):
            core.report_drop(peer, frame)
