"""The seam between a node and its versions: what a driver is given, and what it must offer.

A driver owns the control flow of one host: it takes inputs from outside in one scheduled turn, in the order they came,
runs the core's method for each, and answers. In a turn it handles at most `INCOMING_RPCS` RPCs, so that what they ask
for (validation, above all) runs before the next. It makes no decision about peers, topics or messages.

What else a driver runs, it starts in `HostContext.lifetime`, which hears of errors and ends it with the host.

`node.inbox.Inbox` has the inputs and their rules; a driver that inherits from it adds how a turn is scheduled and what it
does. For an RPC a turn calls `core.handle_rpc`; if that gives a `Pending`, the turn has `pending.message` published by
`core.publish_message` and then calls `pending.resume()`, until nothing is pending, before it looks at another RPC. A driver that takes no notice of a `Pending` ends its host by a
PendingIgnored, as the message would be lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from pubsub_sim.node.lifetime import Lifetime

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.discovery import PeerFinder
    from pubsub_sim.ports import Clock
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.operations import Operation, PeersDead, PeersPending, Request
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.wire.sealed import ReceivedRPC

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class HostContext:
    """What a driver is given.

    Attributes:
        core: the host's decisions.
        clock: the world's time.
        params: the host's options.
        finder: looks for peers and dials them; None without a discovery service.
        number: which host of its world this is, from 0.
        on_room: to be called when an RPC was refused and there is room again.
        on_failure: to be called when an error that belongs to nobody's request has ended the turns of this host.
        lifetime: owns the tasks of this host. `Inbox` sets its `on_failure`, so that an error of a task ends the turns.
    """

    core: Core
    clock: Clock
    params: HostParams
    finder: PeerFinder | None
    number: int
    on_room: Callable[[], None]
    on_failure: Callable[[BaseException], None]
    lifetime: Lifetime = field(default_factory=Lifetime)


Seat = HostContext
"""The name this class had before; versions of third parties may import it."""


class Driver(Protocol):
    """One host's turns."""

    @property
    def discovery(self) -> Discovery | None:
        """The discovery pipeline; None without a discovery service."""

    def start(self) -> None:
        """Begin taking turns; called once, on the running loop."""

    async def close(self) -> None:
        """End all turns and all tasks; pending requests are refused with HostClosed, before anything is awaited."""

    def submit(self, operation: Operation) -> None:
        """Take an input in the next turn; nobody waits for it. Without effect on a host that has ended."""

    def ask(self, request: Request[T]) -> Awaitable[T]:
        """Take an input in the next turn and give its answer; yields to the loop at least once.

        If the asking task is cancelled, the request has no effect that lasts, unless it gives something up.

        Raises:
            HostClosed: the host has ended, or ends before the answer.
            whatever the request raises.
        """

    def signal(self, operation: type[PeersPending | PeersDead]) -> None:
        """Take a coalescing input in the next turn."""

    def offer_rpc(self, peer: PeerId, rpc: ReceivedRPC) -> bool:
        """Take an RPC in a coming turn; False if `INCOMING_RPCS` wait already (`on_room` tells when to try again).

        A host that has ended takes RPCs and drops them.
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
