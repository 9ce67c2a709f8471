"""One host of the libp2p network: its listening socket, its dials, its peers and its streams with them.

It may have several connections with a peer: of two dials at once both stand. The peer is announced to the node once
identify has shown what it speaks.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.errors import DialError, DialledItself, ListenError, StreamRefused
from pubsub_sim.ids import PeerId, short
from pubsub_sim.libp2p.errors import Libp2pError, TooManyStreams
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.upgrade import Upgrade
from pubsub_sim.net.libp2p_book import AddressBook
from pubsub_sim.net.libp2p_connection import Connection
from pubsub_sim.net.libp2p_flusher import Flusher
from pubsub_sim.net.libp2p_identification import OWN_PROTOCOLS, Identification
from pubsub_sim.net.libp2p_negotiation import negotiate_inbound, negotiate_outbound
from pubsub_sim.net.libp2p_peer import Peer
from pubsub_sim.net.libp2p_streams import InboundFrames, OutboundFrames

if TYPE_CHECKING:
    from pubsub_sim.libp2p.security import Identity
    from pubsub_sim.libp2p.yamux_streams import YamuxStream
    from pubsub_sim.net.libp2p_connection import StreamUser
    from pubsub_sim.net.libp2p_limits import Libp2pLimits
    from pubsub_sim.net.sockets import Sockets
    from pubsub_sim.ports import FrameReader, Inbound

_BACKLOG = 1024
_log = logging.getLogger("pubsub_sim.libp2p")


class HostNetwork(Protocol):
    """What a host needs of the network it belongs to."""

    loop: asyncio.AbstractEventLoop
    security: tuple[str, ...]
    limits: Libp2pLimits
    sockets: Sockets

    def addresses_of(self, host: Libp2pHost, peer: PeerId) -> Sequence[Multiaddr]:
        """Where a host may dial a peer."""

    def ip_of(self, peer: PeerId) -> str | None:
        """The address the network gave to a host of its own; None for others."""

    def opened(self, connection: Connection) -> None:
        """Note an end of a connection."""

    def ended(self, connection: Connection) -> None:
        """Forget an end of a connection."""


class Libp2pHost:
    """One host with a listening socket; implements the Host port.

    Args:
        network: it belongs to.
        identity: who it is.
        ip: its address as the network's other hosts see it; None for that of its sockets.
        listen: where it listens.

    Attributes:
        address: where it listens, with its id.
        peers: those with a connection, oldest first.
        book: where other peers may be.
    """

    def __init__(self, network: HostNetwork, identity: Identity, ip: str | None, listen: Multiaddr) -> None:
        self.peer_id = identity.peer_id
        self.ip = ip
        self.peers: dict[PeerId, Peer] = {}
        self.book = AddressBook(peers=network.limits.book_peers, addresses=network.limits.book_addresses)
        self._network = network
        self._limits = network.limits
        self._loop = network.loop
        self._flusher = Flusher(network.loop)
        self._identity = identity
        self._upgrading: dict[Connection, asyncio.Future[Connection] | None] = {}  # dials have a future
        self._inbound = 0
        self._dials: dict[PeerId, asyncio.Future[None]] = {}  # done when the dial is over, however it ended
        self._blocked: list[InboundFrames] = []
        self._accept: dict[str, Callable[[Inbound], FrameReader]] = {}
        self._is_closed = False
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = _listening_socket(listen)
        self.address = Multiaddr.of(*self._socket.getsockname()[:2]).of_peer(self.peer_id)
        self._identification = Identification(
            self.peer_id, self.address, self.peers, self.book, self._loop, self._limits
        )
        self.on_connected = self._identification.on_connected

    # --- connections ---------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take connections; those dialled before wait until now."""
        if self._socket is None:
            return
        sock, self._socket = self._socket, None
        try:
            self._server = await self._loop.create_server(
                lambda: self._new_connection(None, is_outbound=False), sock=sock, backlog=_BACKLOG
            )
        except BaseException:
            sock.close()
            raise
        if self._is_closed:
            self._server.close()
        else:
            self._ticker = self._loop.call_later(self._limits.tick_s, self._tick)

    def connected_peers(self) -> Sequence[PeerId]:
        """List the peers of all connections, oldest first."""
        return tuple(self.peers)

    def is_connected(self, peer: PeerId) -> bool:
        """Whether there is a connection with `peer`."""
        return peer in self.peers

    def is_outbound(self, peer: PeerId) -> bool:
        """Whether we dialled a connection with `peer`."""
        return peer in self.peers and any(c.is_outbound for c in self.peers[peer].connections)

    def addresses(self, peer: PeerId) -> Sequence[str]:
        """The address the network gave to `peer`, or those of its sockets; none without a connection."""
        if peer not in self.peers:
            return ()
        given = self._network.ip_of(peer)
        return tuple(dict.fromkeys(given or c.remote[0] for c in self.peers[peer].connections))

    async def connect(self, peer: PeerId) -> None:
        """Dial a peer unless connected, at all addresses known; wait until it is identified.

        Raises:
            DialledItself: it is ourselves.
            DialError: no address is known, or nobody there is this peer.
        """
        if peer == self.peer_id:
            raise DialledItself(short(peer))
        while peer not in self.peers:
            other = self._dials.get(peer)
            if other is None:
                await self._dial(peer, self._network.addresses_of(self, peer))
                break
            await asyncio.wait([other])
        await self._identification.wait(peer)

    async def dial(self, address: Multiaddr) -> PeerId:
        """Connect to the peer at an address.

        Returns:
            Who answers there; the peer the address names, if it names one.

        Raises:
            DialledItself: it is ourselves.
            DialError: nobody there, or somebody else.
        """
        if address.peer is not None:
            self.book.add(address.peer, [address])
            await self.connect(address.peer)
            return address.peer
        try:
            peer = await self._dial_address(address, None)
        except (OSError, Libp2pError, TimeoutError) as error:
            raise DialError(str(address), _reason(error)) from None
        await self._identification.wait(peer)
        return peer

    def close(self) -> None:
        """End all connections, after what has been written to them, and close the listening socket."""
        self._is_closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        for connection in [*self._upgrading, *self.connections]:
            connection.close()
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def forget(self, peer: PeerId) -> None:
        """Cut the connections with a peer, if there are any."""
        if peer in self.peers:
            for connection in list(self.peers[peer].connections):
                connection.cut()

    @property
    def connections(self) -> list[Connection]:
        """Those that are upgraded."""
        return [connection for peer in self.peers.values() for connection in peer.connections]

    @property
    def is_dialling(self) -> bool:
        """Whether a dial is under way."""
        return bool(self._dials) or any(future is not None for future in self._upgrading.values())

    @property
    def is_blocked(self) -> bool:
        """Whether a reader had no room."""
        return any(stream.is_open for stream in self._blocked)

    @property
    def frames(self) -> int:
        """Frames written to streams so far, empty ones not counted."""
        return self._flusher.frames

    async def _dial(self, peer: PeerId, addresses: Sequence[Multiaddr]) -> None:
        if not addresses:
            raise DialError(short(peer), "no address of it is known")
        ended = self._dials[peer] = self._loop.create_future()
        reasons = []
        try:
            for address in addresses:
                try:
                    await self._dial_address(address, peer)
                except (OSError, Libp2pError, TimeoutError) as error:
                    reasons.append(_reason(error))
                    if peer in self.peers:
                        return
                else:
                    return
        finally:
            del self._dials[peer]
            ended.set_result(None)
        raise DialError(short(peer), "; ".join(dict.fromkeys(reasons)))

    async def _dial_address(self, address: Multiaddr, expected: PeerId | None) -> PeerId:
        """Dial one address; gives who answers."""
        connection = self._new_connection(expected, is_outbound=True)
        upgraded = self._upgrading[connection] = self._loop.create_future()
        try:
            async with asyncio.timeout(self._limits.dial_s):
                if self._is_closed:
                    raise ConnectionError("the dialling host is closed")
                await self._loop.create_connection(lambda: connection, address.host, address.port)
                await upgraded
        finally:
            self._upgrading.pop(connection, None)
            if not upgraded.done():
                upgraded.cancel()
            elif not upgraded.cancelled():
                upgraded.exception()  # seen, whoever was waiting for it
            if not connection.is_upgraded:
                connection.give_up()
        return connection.peer

    def _new_connection(self, expected: PeerId | None, *, is_outbound: bool) -> Connection:
        upgrade = Upgrade(self._identity, self._network.security, is_dialler=is_outbound, expected=expected)
        return Connection(self, upgrade, self._loop, self._flusher, self._limits, is_outbound=is_outbound)

    def _tick(self) -> None:
        for connection in self.connections:
            connection.tick()
        self._ticker = self._loop.call_later(self._limits.tick_s, self._tick)

    # --- streams -------------------------------------------------------------------------------------------------

    def serve(self, protocols: Iterable[str], accept: Callable[[Inbound], FrameReader]) -> None:
        """Keep the function that accepts streams of these protocols, and tell the peers there are."""
        self._accept.update(dict.fromkeys(protocols, accept))
        self._identification.add_protocols(self._accept)

    async def open_stream(self, peer: PeerId, protocols: Sequence[str]) -> OutboundFrames:
        """Negotiate a stream, at once if the peer has said which of the protocols it speaks. Raises StreamRefused."""
        known = self.peers.get(peer)
        connection = None if known is None else known.best
        if known is None or connection is None:
            await asyncio.sleep(0)
            raise StreamRefused(short(peer), "not connected")
        spoken = known.protocols
        proposed = protocols if spoken is None else [name for name in protocols if name in spoken]
        if not proposed:
            await asyncio.sleep(0)
            raise StreamRefused(short(peer), f"supports none of {', '.join(protocols)}")
        opened: asyncio.Future[OutboundFrames] = self._loop.create_future()

        def begin(stream: YamuxStream, protocol: str) -> OutboundFrames:
            frames = OutboundFrames(connection, stream, protocol, self._outgoing_ended)
            if opened.done():
                frames.reset()
            else:
                opened.set_result(frames)
                known.begin_outgoing(frames)
            return frames

        def fail(reason: str) -> None:
            if not opened.done():
                opened.set_exception(StreamRefused(short(peer), reason))

        try:
            negotiation = negotiate_outbound(connection, proposed, begin, fail)
        except TooManyStreams as error:
            raise StreamRefused(short(peer), str(error)) from None
        try:
            return await opened
        except asyncio.CancelledError:
            if opened.done() and not opened.cancelled() and opened.exception() is None:
                opened.result().reset()
            negotiation.give_up()
            raise

    def resume_reading(self) -> None:
        """Let the blocked streams read on."""
        blocked, self._blocked = self._blocked, []
        for stream in blocked:
            stream.go_on()

    def _is_blocked_by(self, stream: InboundFrames) -> None:
        self._blocked.append(stream)

    def _outgoing_ended(self, stream: OutboundFrames) -> None:
        known = self.peers.get(stream.connection.peer)
        if known is not None:
            known.end_outgoing(stream)

    def _incoming_ended(self, stream: InboundFrames) -> None:
        known = self.peers.get(stream.peer)
        if known is not None:
            known.end_incoming(stream)

    # --- what connections ask for (see ConnectionOwner) ----------------------------------------------------------

    def socket_opened(self, connection: Connection) -> bool:
        """Count the connection among those being upgraded."""
        self._network.opened(connection)
        if self._is_closed:
            return False
        if not connection.is_outbound:
            inbound = sum(future is None for future in self._upgrading.values())
            if inbound >= self._limits.upgrading or self._inbound + inbound >= self._limits.inbound:
                _log.debug("a connection of %s is refused: there are too many", connection.remote)
                return False
            self._upgrading[connection] = None
        return True

    def upgraded(self, connection: Connection) -> bool:
        """Add the connection to those of its peer, and ask what the peer speaks."""
        peer_id = connection.peer
        known = self.peers.get(peer_id)
        if peer_id == self.peer_id or (known is not None and len(known.connections) >= self._limits.per_peer):
            return False
        if known is None:
            known = self.peers[peer_id] = Peer(peer_id)
        known.connections.append(connection)
        upgraded = self._upgrading.get(connection)
        if not connection.is_outbound:
            self._upgrading.pop(connection, None)
            self._inbound += 1
        elif upgraded is not None and not upgraded.done():
            upgraded.set_result(connection)
        self._identification.ask(connection)
        connection.wake_if_needed()
        return True

    def stream_opened(self, connection: Connection, stream: YamuxStream) -> None:
        """Let the peer choose among the protocols that are served at this moment."""
        negotiate_inbound(
            connection,
            stream,
            self._identification.protocols,
            lambda stream, protocol: self._user_of(connection, stream, protocol),
        )

    def lost(self, connection: Connection, error: Exception | None) -> None:
        """Forget the connection, and the peer with its last one."""
        if error is not None:
            _log.debug("the connection with %s has ended: %s", connection.remote, error)
        upgraded = self._upgrading.pop(connection, None)
        if upgraded is not None and not upgraded.done():
            upgraded.set_exception(error or ConnectionError("the connection ended before it was upgraded"))
        self._network.ended(connection)
        if not connection.is_upgraded:
            return
        known = self.peers.get(connection.peer)
        if known is None or connection not in known.connections:
            return
        known.connections.remove(connection)
        self._identification.lost(connection)
        if not connection.is_outbound:
            self._inbound -= 1
        if not known.connections:
            del self.peers[connection.peer]
            self._identification.gone(connection.peer)

    def socket_closed(self, connection: Connection) -> None:
        """Note the socket as closed."""
        self._network.sockets.closed(connection.transport)

    def _user_of(self, connection: Connection, stream: YamuxStream, protocol: str) -> StreamUser | None:
        """Who uses a stream the peer opened for a protocol."""
        if protocol in OWN_PROTOCOLS:
            return self._identification.user_of(connection, stream, protocol)
        frames = InboundFrames(connection, stream, self._is_blocked_by, self._incoming_ended)
        frames.reader = self._accept[protocol](frames)
        self.peers[connection.peer].begin_incoming(frames)
        return frames


def _listening_socket(address: Multiaddr) -> socket.socket:
    family = socket.AF_INET6 if address.kind == "ip6" else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ListenError(str(address), str(error)) from None


def _reason(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)
