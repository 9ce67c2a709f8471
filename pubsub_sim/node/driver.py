"""What must a way of taking turns offer? The seam between a node and the two versions.

A driver owns the control flow of one host: it takes inputs from outside in one scheduled turn, in the order they came,
runs the core's method for each, and answers. In a turn it handles at most `INCOMING_RPCS` RPCs, so that what they ask
for (validation, above all) runs before the next. It makes no decision about peers, topics or messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.discovery import PeerFinder
    from pubsub_sim.ports import Clock
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.operations import Operation, PeersDead, PeersPending, Request
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Seat:
    """What a driver is given.

    Attributes:
        core: the host's decisions.
        clock: the world's time.
        params: the host's options.
        finder: looks for peers and dials them; None without a discovery service.
        number: which host of its world this is, from 0.
        on_room: to be called when an RPC was refused and there is room again.
        on_failure: to be called when a turn ended in an error that belongs to nobody's request.
    """

    core: Core
    clock: Clock
    params: HostParams
    finder: PeerFinder | None
    number: int
    on_room: Callable[[], None]
    on_failure: Callable[[BaseException], None]


class Driver(Protocol):
    """One host's turns."""

    @property
    def discovery(self) -> Discovery | None:
        """The discovery pipeline; None without a discovery service."""

    def start(self) -> None:
        """Begin taking turns; called once, on the running loop."""

    async def close(self) -> None:
        """End all turns and all tasks; pending requests are refused with HostClosed."""

    def submit(self, operation: Operation) -> None:
        """Take an input in the next turn; nobody waits for it."""

    def ask(self, request: Request[T]) -> Awaitable[T]:
        """Take an input in the next turn and give its answer; yields to the loop at least once. Raises HostClosed."""

    def signal(self, operation: type[PeersPending | PeersDead]) -> None:
        """Take a coalescing input in the next turn."""

    def offer_rpc(self, peer: PeerId, rpc: RPC | WireMessage) -> bool:
        """Take an RPC in a coming turn; False if `INCOMING_RPCS` wait already (`on_room` tells when to try again)."""

    def hand_over(self, message: Message) -> bool | None:
        """From within a turn: publish an accepted message, before anything else is looked at.

        True: it is published when the call into the core that is under way has returned, and the driver calls
        `core.go_on` after that if `core.halfway` says so; anything else: it is published.
        """

    @property
    def has_message_room(self) -> bool:
        """Whether another PublishMessage may be submitted (`PENDING_MESSAGES`)."""

    @property
    def is_idle(self) -> bool:
        """Whether no input waits and no turn is due."""


class Discovery(Protocol):
    """One host's search for peers. The reference's discovery loop, poll timer and bootstrap loop."""

    def start(self) -> None:
        """Begin; the poll timer runs from here."""

    async def close(self) -> None:
        """End all tasks."""

    def discover(self, topic: str) -> None:
        """Look for peers once, without waiting; nothing if a look is under way or the request queue is full."""

    def advertise(self, topic: str) -> None:
        """Register, and again whenever it is due; nothing if we do already."""

    def stop_advertise(self, topic: str) -> None:
        """Stop registering."""

    async def bootstrap(self, topic: str, ready: Callable[[], bool]) -> bool:
        """Look for peers until `ready` (evaluated in a turn of the host) says so; False if the host closes before."""

    @property
    def is_idle(self) -> bool:
        """Whether no look for peers, no due registration and no bootstrap is under way."""
