"""The ports of the core: what it asks of whoever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.operations import Outbox
    from pubsub_sim.wire.message import Message


class Ports(Protocol):
    """How the core acts on the world. None of these waits."""

    def is_connected(self, peer: PeerId) -> bool:
        """Whether the network has a connection to `peer`."""

    def is_outbound(self, peer: PeerId) -> bool:
        """Whether the network has a connection to `peer` that we dialled."""

    def addresses(self, peer: PeerId) -> Sequence[str]:
        """The IP addresses of the connections to `peer`."""

    def dial(self, peer: PeerId) -> bool:
        """Connect to a peer in the background, unless we are connected; False if too many dials wait."""

    def open_outbox(self, peer: PeerId, hello: Sequence[bytes], delay_ms: int) -> Outbox:
        """A new outbound queue with the frames of the hello in it, all of them; its stream is opened after the delay."""

    def retry_announcement(self, peer: PeerId, topic: str, delay_ms: int, *, subscribe: bool) -> None:
        """Have `Announcer.announce_again` called in a turn after the delay."""

    def enqueue_validation(self, message: Message) -> bool:
        """Put a message on the validation queue; False if it is full."""

    def now_ns(self) -> int:
        """Monotonic time; read only where a rule needs it."""
