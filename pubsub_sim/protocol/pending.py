"""A received RPC that is read in parts: up to a message that is published at once, and on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


class RpcReader(Protocol):
    """Who reads RPCs: the core.

    Attributes:
        pending: the one that is not published and read to its end yet.
    """

    pending: Pending | None

    def check_read(self) -> None:
        """Raise PendingIgnored if there is one that is not published, or not read to its end."""

    def read_messages(self, peer: PeerId, rpc: RPC, messages: Iterator[WireMessage | Message]) -> Pending | None:
        """Read the messages of an RPC that are left, then its control part; gives what is pending next."""


class Pending:
    """An RPC that has been read up to a message which has to be published before the rest is read.

    The core notes whether that is done, and takes no other before: a message would be lost. See `RpcReader.check_read`.

    Attributes:
        message: the message; it is accepted and needs no validation.
        is_last: nothing of the RPC is left to be read; `resume` may be left out.
        is_published: whether the core has published it.
    """

    __slots__ = ("_peer", "_reader", "_rest", "_rpc", "is_last", "is_published", "message")

    def __init__(
        self,
        message: Message,
        reader: RpcReader,
        peer: PeerId,
        rpc: RPC | None,
        rest: Iterator[WireMessage | Message] | None,
    ) -> None:
        self.message = message
        self.is_last = rpc is None
        self.is_published = False
        self._reader = reader
        self._peer = peer
        self._rpc = rpc
        self._rest = rest
        if reader.pending is not None:
            reader.check_read()
        reader.pending = self

    def resume(self) -> Pending | None:
        """Read on, once the message has been published; gives what is pending next, as `Core.handle_rpc` does.

        Raises:
            PendingIgnored: it has not been published.
        """
        if not self.is_published:
            self._reader.check_read()
        self._reader.pending = None
        if self._rpc is None or self._rest is None:
            return None
        return self._reader.read_messages(self._peer, self._rpc, self._rest)
