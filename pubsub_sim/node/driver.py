"""The interface between a node and its versions: the context of a driver, and the methods it must implement.

A driver owns the control flow of one host: it takes external inputs in one scheduled turn, in order of arrival, runs the
core's method for each, and answers. In a turn it handles at most `INCOMING_RPCS` RPCs, so that the work they request
(mainly validation) runs before the next ones. It makes no decision about peers, topics or messages.

A driver starts all other tasks in `HostContext.lifetime`, which receives their errors and ends them with the host.

`node.inbox.Inbox` implements the inputs and their rules; a driver that inherits from it adds the scheduling and the work
of a turn. For an RPC a turn calls `core.handle_rpc`; while the result is a `Pending`, the turn has `pending.message`
published by `core.publish_message` and then calls `pending.resume()`, before it takes another RPC. A driver that ignores
a `Pending` ends its host with a PendingIgnored, as the message would be lost.
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
    """The context of a driver.

    Attributes:
        core: the host's decisions.
        clock: the world's time.
        params: the host's options.
        finder: looks for peers and dials them; None without a discovery service.
        number: number of the host in its world, from 0.
        on_room: called when there is room again after an RPC was refused.
        on_failure: called when an error that does not belong to a request has ended the turns of this host.
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
"""Former name, kept for third-party versions."""


class Driver(Protocol):
    """The turns of one host.

    It may have a method `settle_rpc`, and say by a property `settles_rpcs` that it may be used. It is given an RPC at an
    instant of virtual time at which nothing else happens in the whole world. If no turn is due and the turn for this RPC would
    change nothing, as a copy of a known message does not, it takes the RPC at once and returns True (see `Core.settle_rpc`).
    """

    @property
    def discovery(self) -> Discovery | None:
        """The discovery pipeline; None without a discovery service."""

    def start(self) -> None:
        """Begin taking turns; called once, on the running loop."""

    async def close(self) -> None:
        """End all turns and all tasks; pending requests are refused with HostClosed, before anything is awaited."""

    def submit(self, operation: Operation) -> None:
        """Take an input in the next turn, without an answer. No effect on a host that has ended."""

    def ask(self, request: Request[T]) -> Awaitable[T]:
        """Take an input in the next turn and return its answer; yields to the loop at least once.

        If the caller is cancelled, the request is undone, unless it releases something.

        Raises:
            HostClosed: the host has ended, or ends before answering.
            whatever the request raises.
        """

    def signal(self, operation: type[PeersPending | PeersDead]) -> None:
        """Take a coalescing input in the next turn."""

    def offer_rpc(self, peer: PeerId, rpc: ReceivedRPC) -> bool:
        """Queue an RPC for a later turn; return False if `INCOMING_RPCS` are queued already (`on_room` signals a retry).

        A host that has ended accepts RPCs and drops them.
        """

    @property
    def has_message_room(self) -> bool:
        """Whether another PublishMessage may be submitted (`PENDING_MESSAGES`)."""

    @property
    def is_idle(self) -> bool:
        """Whether no input is queued and no turn is due."""


class Discovery(Protocol):
    """The discovery of one host: the reference's discovery loop, poll timer and bootstrap loop."""

    def start(self) -> None:
        """Start discovery and the poll timer."""

    async def close(self) -> None:
        """End all tasks."""

    def discover(self, topic: str) -> None:
        """Request one lookup, without waiting; no effect if one is under way or the request queue is full."""

    def advertise(self, topic: str) -> None:
        """Start registering for a topic, with renewals; no effect if already started."""

    def stop_advertise(self, topic: str) -> None:
        """Stop registering."""

    async def bootstrap(self, topic: str, ready: Callable[[], bool]) -> bool:
        """Look for peers until `ready`, evaluated in a turn of the host, is true; return False if the host closes first."""

    @property
    def is_idle(self) -> bool:
        """Whether no lookup, due registration or bootstrap is under way."""
