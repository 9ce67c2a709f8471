"""What the hosts of two ends tell each other of themselves: identify, its push, and ping.

Source: the libp2p identify and ping specifications.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pubsub_sim.ids import PeerId, short
from pubsub_sim.libp2p.errors import ProtocolViolation
from pubsub_sim.libp2p.identify import IDENTIFY, IDENTIFY_PUSH, PING, IdentifyReader, make_identify
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.yamux_streams import CANCELLED
from pubsub_sim.net.libp2p_negotiation import negotiate_outbound

if TYPE_CHECKING:
    from pubsub_sim.libp2p.identify import PeerInfo
    from pubsub_sim.libp2p.yamux_streams import YamuxStream
    from pubsub_sim.net.libp2p_book import AddressBook
    from pubsub_sim.net.libp2p_connection import Connection, StreamUser
    from pubsub_sim.net.libp2p_limits import Libp2pLimits
    from pubsub_sim.net.libp2p_peer import Peer

OWN_PROTOCOLS = (IDENTIFY, IDENTIFY_PUSH, PING)
"""Protocols that every host speaks."""

_MOST_ECHOED = 64 * 1024  # bytes of pings whose echo the peer has not read
_log = logging.getLogger("pubsub_sim.libp2p")


class Identification:
    """What one host tells its peers of itself, and learns of them.

    Args:
        peer_id: who the host is.
        address: where it listens.
        peers: its peers; what they tell is noted there.
        book: is given the addresses that they tell.
        loop: the event loop.
        limits: how long it may take.

    Attributes:
        protocols: what the host speaks.
    """

    def __init__(
        self,
        peer_id: PeerId,
        address: Multiaddr,
        peers: dict[PeerId, Peer],
        book: AddressBook,
        loop: asyncio.AbstractEventLoop,
        limits: Libp2pLimits,
    ) -> None:
        self.protocols: dict[str, None] = dict.fromkeys(OWN_PROTOCOLS)
        self._peer_id = peer_id
        self._address = address.of_peer(None)
        self._peers = peers
        self._book = book
        self._loop = loop
        self._limits = limits
        self._asked: set[Connection] = set()
        self._waiting: dict[PeerId, list[asyncio.Future[None]]] = {}
        self._on_connected: list[Callable[[PeerId], None]] = []

    def on_connected(self, callback: Callable[[PeerId], None]) -> None:
        """Add a callback that is called with each new peer, and again if it speaks more protocols later."""
        self._on_connected.append(callback)

    def add_protocols(self, protocols: Iterable[str]) -> None:
        """The host speaks more protocols: tell the peers there are."""
        self.protocols.update(dict.fromkeys(protocols))
        for peer in self._peers.values():
            if peer.protocols is not None and IDENTIFY_PUSH in peer.protocols and peer.best is not None:
                self._tell(peer.best)

    def ask(self, connection: Connection) -> None:
        """Ask what the peer of a new connection speaks."""
        self._asked.add(connection)
        negotiate_outbound(
            connection,
            [IDENTIFY],
            lambda stream, _: Listening(
                connection, stream, lambda info: self._heard(connection, info), self._limits.identify_s
            ),
            lambda _: self._heard(connection, None),
        )

    async def wait(self, peer: PeerId) -> None:
        """Until a peer is identified, or gone."""
        known = self._peers.get(peer)
        if known is None or known.is_announced:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.setdefault(peer, []).append(future)
        await future

    def lost(self, connection: Connection) -> None:
        """A connection has ended: no answer is expected of it."""
        self._asked.discard(connection)

    def gone(self, peer: PeerId) -> None:
        """A peer has no connection any more: nobody is to wait for it."""
        for future in self._waiting.pop(peer, ()):
            if not future.done():
                future.set_result(None)

    def user_of(self, connection: Connection, stream: YamuxStream, protocol: str) -> StreamUser | None:
        """Who uses a stream that the peer opened for one of OWN_PROTOCOLS; None if it has too many of them."""
        if protocol == IDENTIFY:
            return Telling(connection, stream, self._message_to(connection))
        if protocol == IDENTIFY_PUSH:
            if sum(isinstance(one.user, Listening) for one in connection.session.streams.values()) > 2:
                return None
            return Listening(connection, stream, lambda info: self._pushed(connection, info), self._limits.identify_s)
        echoes = sum(isinstance(one.user, Echo) for one in connection.session.streams.values())
        return Echo(connection, stream) if echoes < 2 else None

    def _message_to(self, connection: Connection) -> bytes:
        observed = Multiaddr.of(*connection.remote)
        return make_identify(self._peer_id, self.protocols, [self._address], observed)

    def _tell(self, connection: Connection) -> None:
        negotiate_outbound(
            connection,
            [IDENTIFY_PUSH],
            lambda stream, _: Telling(connection, stream, self._message_to(connection)),
            lambda reason: _log.debug("a push of protocols came to nothing: %s", reason),
        )

    def _heard(self, connection: Connection, info: PeerInfo | None) -> None:
        """A peer has told of itself, or will not: announce it."""
        if connection not in self._asked:
            return
        self._asked.discard(connection)
        known = self._peers[connection.peer]
        if info is None:
            _log.debug("%s has not identified itself", short(connection.peer))
        else:
            self._note(connection, info)
        if not known.is_announced:
            known.is_announced = True
            self._announce(known.peer_id)
            self.gone(known.peer_id)

    def _pushed(self, connection: Connection, info: PeerInfo | None) -> None:
        """A peer speaks other protocols than before: announce it again if there are more."""
        known = self._peers.get(connection.peer)
        if info is None or known is None:
            return
        before = known.protocols or frozenset()
        self._note(connection, info)
        if known.is_announced and known.protocols is not None and known.protocols - before:
            self._announce(known.peer_id)

    def _note(self, connection: Connection, info: PeerInfo) -> None:
        if info.protocols is not None:
            self._peers[connection.peer].protocols = frozenset(info.protocols)
        is_local = Multiaddr.of(*connection.remote).is_loopback
        usable = [address for address in info.addresses if address.port and (is_local or not address.is_loopback)]
        self._book.add(connection.peer, usable)

    def _announce(self, peer: PeerId) -> None:
        for callback in self._on_connected:
            self._loop.call_soon(callback, peer)


class Telling:
    """Sends one message and ends: the answer to an identify, or a push. Implements StreamUser."""

    def __init__(self, connection: Connection, stream: YamuxStream, message: bytes) -> None:
        connection.session.write(stream, message)
        connection.session.finish(stream)
        connection.wake_if_needed()

    def received(self, data: bytes) -> None:
        """Nothing is expected."""
        raise ProtocolViolation("identify", "nothing from the end that listens", data)

    def finished(self) -> None:
        """Both directions are over."""

    def was_reset(self) -> None:
        """The peer does not want to know."""


class Listening:
    """Reads what a peer tells of itself. Implements StreamUser.

    Args:
        connection: whose stream it is.
        stream: the muxer's.
        told: called with what the peer told; with None if it came to nothing.
        limit_s: how long it may take.
    """

    def __init__(
        self, connection: Connection, stream: YamuxStream, told: Callable[[PeerInfo | None], None], limit_s: float
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._told = told
        self._reader = IdentifyReader(connection.peer)
        self._timer: asyncio.TimerHandle | None = connection.loop.call_later(limit_s, self._too_slow)

    def received(self, data: bytes) -> None:
        """Read on."""
        self._reader.receive(data)
        self._connection.session.credit(self._stream, len(data))

    def finished(self) -> None:
        """All is there."""
        info = self._reader.end()
        self._connection.session.finish(self._stream)
        self._end(info)

    def was_reset(self) -> None:
        """It came to nothing."""
        self._end(None)

    def _too_slow(self) -> None:
        self._connection.session.reset(self._stream, CANCELLED)
        self._connection.wake_if_needed()
        self._end(None)

    def _end(self, info: PeerInfo | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._told(info)


class Echo:
    """Sends back what comes: the listening end of ping. Implements StreamUser."""

    def __init__(self, connection: Connection, stream: YamuxStream) -> None:
        self._connection = connection
        self._stream = stream

    def received(self, data: bytes) -> None:
        """Send it back. Raises ProtocolViolation if the peer does not read what it asks for."""
        session = self._connection.session
        if self._stream.pending_bytes > _MOST_ECHOED:
            raise ProtocolViolation(
                "ping", "a peer that reads the answers", f"{self._stream.pending_bytes} bytes unread"
            )
        session.write(self._stream, data)
        session.credit(self._stream, len(data))

    def finished(self) -> None:
        """Finish our direction too."""
        self._connection.session.finish(self._stream)

    def was_reset(self) -> None:
        """It is over."""
