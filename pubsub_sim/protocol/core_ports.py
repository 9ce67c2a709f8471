"""The ports of the core: the interface it requires of a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.operations import Outbox
    from pubsub_sim.wire.message import Message


class Ports(Protocol):
    """The core's effects on the world. No method blocks."""

    def is_connected(self, peer: PeerId) -> bool:
        """Return whether the network has a connection to `peer`."""

    def is_outbound(self, peer: PeerId) -> bool:
        """Return whether the network has a connection to `peer` that this host dialled."""

    def addresses(self, peer: PeerId) -> Sequence[str]:
        """Return the IP addresses of the connections to `peer`."""

    def dial(self, peer: PeerId) -> bool:
        """Connect to a peer in the background, unless connected; return False if the queue of dials is full."""

    def open_outbox(self, peer: PeerId, hello: Sequence[bytes], delay_ms: int) -> Outbox:
        """Return a new outbound queue that contains all frames of the hello; its stream is opened after the delay."""

    def retry_announcement(self, peer: PeerId, topic: str, delay_ms: int, *, subscribe: bool) -> None:
        """Have `Announcer.announce_again` called in a turn after the delay."""

    def enqueue_validation(self, message: Message) -> bool:
        """Put a message into the validation queue; return False if it is full."""

    def now_ns(self) -> int:
        """Return the monotonic time; called only by rules that need it."""
