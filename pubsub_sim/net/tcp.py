"""The TCP network: hosts connected over loopback TCP, behind the same ports as the memory network.

One connection per pair of hosts, whichever dialled; see `tcp_connection` for what goes over it and `tcp_handshake` for its
beginning. All hosts are in one process, so a cut is known to both ends at once, and the network can tell whether
anything is on its way. Wall time only.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence

from pubsub_sim.errors import DialError, DialledItself, StreamRefused
from pubsub_sim.ids import PeerId, short
from pubsub_sim.net.memory import Addresses, close_all
from pubsub_sim.net.sockets import Sockets
from pubsub_sim.net.tcp_connection import Connection
from pubsub_sim.net.tcp_handshake import Dialler, Listener
from pubsub_sim.net.tcp_stream import TcpStream
from pubsub_sim.ports import FrameReader, Inbound

DIAL_LIMIT_S = 5.0
"""Longest dial, greeting included."""

_LOOPBACK = "127.0.0.1"
_BACKLOG = 1024


class TcpHost:
    """One host with a listening socket; implements the Host port.

    Attributes:
        ip: its address, as peers see it; the sockets themselves are all on loopback.
        connections: connections by peer, oldest first.
        frames_of_ended: frames written to connections that are gone, empty ones not counted.
    """

    def __init__(self, network: TcpNetwork, peer_id: PeerId, ip: str) -> None:
        self.peer_id = peer_id
        self.ip = ip
        self.connections: dict[PeerId, Connection] = {}
        self.frames_of_ended = 0
        self._network = network
        self._loop = network.loop
        self._dials: dict[PeerId, asyncio.Future[None]] = {}  # done when the dial is over, however it ended
        self._awaited: dict[
            PeerId, asyncio.Future[None]
        ] = {}  # peers that refused our dial as theirs stands; done once connected
        self._blocked: list[Connection] = []
        self._accept: dict[str, Callable[[Inbound], FrameReader]] = {}
        self._on_connected: list[Callable[[PeerId], None]] = []
        self._is_closed = False
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = socket.create_server((_LOOPBACK, 0), backlog=_BACKLOG)
        self.address: tuple[str, int] = self._socket.getsockname()

    # --- connections ---------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take connections; those dialled before wait until now."""
        if self._socket is not None:
            sock, self._socket = self._socket, None
            try:
                self._server = await self._loop.create_server(
                    lambda: Listener(self.peer_id, self._accepts_dial, self._connected, self._network.sockets),
                    sock=sock,
                    backlog=_BACKLOG,
                )
            except BaseException:
                sock.close()
                raise
            if self._is_closed:
                self._server.close()

    def connected_peers(self) -> Sequence[PeerId]:
        """List the peers of all connections, oldest first."""
        return tuple(self.connections)

    def is_connected(self, peer: PeerId) -> bool:
        """Whether there is a connection with `peer`."""
        return peer in self.connections

    def is_outbound(self, peer: PeerId) -> bool:
        """Whether we dialled the connection with `peer`."""
        return peer in self.connections and self.connections[peer].is_outbound

    def addresses(self, peer: PeerId) -> Sequence[str]:
        """The address the network gave to `peer`, or loopback if it no longer knows it; none without a connection."""
        if peer not in self.connections:
            return ()
        return (self._network.host(peer).ip if self._network.knows(peer) else _LOOPBACK,)

    async def connect(self, peer: PeerId) -> None:
        """Dial over TCP unless connected; await a dial under way first. Raises DialError or DialledItself."""
        if peer == self.peer_id:
            raise DialledItself(short(peer))
        while peer not in self.connections:
            other = self._dials.get(peer)
            if other is None:
                await self._dial(peer)
                return
            await asyncio.wait([other])
        await asyncio.sleep(0)

    def close(self) -> None:
        """Cut all connections and close the listening socket."""
        for peer in list(self.connections):
            self._network.disconnect(self.peer_id, peer)
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def on_connected(self, callback: Callable[[PeerId], None]) -> None:
        """Add a callback that is called with the peer of each new connection."""
        self._on_connected.append(callback)

    def forget(self, peer: PeerId) -> None:
        """The connection with a peer is over, if there is one."""
        connection = self.connections.pop(peer, None)
        if connection is not None:
            self.frames_of_ended += connection.frames
            connection.cut()

    @property
    def is_dialling(self) -> bool:
        """Whether a dial is under way."""
        return bool(self._dials)

    @property
    def frames(self) -> int:
        """Frames written to streams so far, empty ones not counted."""
        return self.frames_of_ended + sum(connection.frames for connection in self.connections.values())

    async def _dial(self, peer: PeerId) -> None:
        ended = self._dials[peer] = self._loop.create_future()
        dialler = Dialler(self.peer_id, peer, self._connected_by_us, self._network.sockets, self._loop)
        try:
            async with asyncio.timeout(DIAL_LIMIT_S):
                address = self._network.host(peer).address
                await self._loop.create_connection(lambda: dialler, *address)
                if not await dialler.answer and peer not in self.connections:
                    await self._wait_for(peer)
        except TimeoutError:
            raise DialError(short(peer), f"no answer within {DIAL_LIMIT_S:g} s") from None
        except OSError as error:
            raise DialError(short(peer), str(error)) from None
        finally:
            dialler.give_up()
            del self._dials[peer]
            ended.set_result(None)

    async def _wait_for(self, peer: PeerId) -> None:
        """The peer refused our dial because its own stands."""
        self._awaited[peer] = self._loop.create_future()
        try:
            await self._awaited[peer]
        finally:
            del self._awaited[peer]

    def _accepts_dial(self, peer: PeerId) -> bool:
        return (
            peer != self.peer_id and peer not in self.connections and (peer not in self._dials or peer < self.peer_id)
        )

    def _connected_by_us(self, peer: PeerId, transport: asyncio.Transport, rest: bytes) -> None:
        self._connected(peer, transport, rest, is_outbound=True)

    def _connected(self, peer: PeerId, transport: asyncio.Transport, rest: bytes, *, is_outbound: bool = False) -> None:
        connection = Connection(self, peer, transport, self._loop, is_outbound=is_outbound)
        transport.set_protocol(connection)
        if self._is_closed:
            connection.cut()
            return
        self.connections[peer] = connection
        awaited = self._awaited.get(peer)
        if awaited is not None and not awaited.done():
            awaited.set_result(None)
        for callback in self._on_connected:
            self._loop.call_soon(callback, peer)
        if rest:
            connection.data_received(rest)

    # --- streams -------------------------------------------------------------------------------------------------

    def serve(self, protocols: Iterable[str], accept: Callable[[Inbound], FrameReader]) -> None:
        """Keep the function that accepts streams of these protocols."""
        self._accept.update(dict.fromkeys(protocols, accept))

    async def open_stream(self, peer: PeerId, protocols: Sequence[str]) -> TcpStream:
        """Negotiate a stream over the connection with `peer`. Raises StreamRefused if there is none."""
        connection = self.connections.get(peer)
        if connection is None:
            await asyncio.sleep(0)
            raise StreamRefused(short(peer), "not connected")
        return await connection.open_stream(protocols)

    def resume_reading(self) -> None:
        """Let the blocked connections read on."""
        blocked, self._blocked = self._blocked, []
        for connection in blocked:
            connection.resume_reading()

    # --- what connections ask for (see ConnectionOwner) ----------------------------------------------------------------

    def accepts(self, protocols: Sequence[str]) -> tuple[str, Callable[[Inbound], FrameReader]] | None:
        """Choose the first protocol that is served, or None."""
        protocol = next((p for p in protocols if p in self._accept), None)
        return None if protocol is None else (protocol, self._accept[protocol])

    def is_blocked_by(self, connection: Connection) -> None:
        """Note a connection whose reader had no room, for `resume_reading`."""
        self._blocked.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forget the connection, if it is the current one, and note its socket as closed."""
        if self.connections.get(connection.peer) is connection:
            self.forget(connection.peer)
        self._network.sockets.closed(connection.transport)


class TcpNetwork:
    """Hosts of one process and the sockets between them.

    Args:
        loop: the event loop all of them run on, on wall time.

    Attributes:
        sockets: the connected ones.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.sockets = Sockets()
        self._addresses = Addresses()
        self._hosts: dict[PeerId, TcpHost] = {}
        self._frames_of_removed = 0

    async def open(self) -> None:
        """Let the hosts added so far take connections."""
        for host in list(self._hosts.values()):
            await host.listen()

    async def close(self) -> None:
        """Close all hosts, and wait until their sockets are closed.

        Raises:
            ExceptionGroup: some could not be closed; all others are, and all sockets.
        """
        try:
            close_all(self._hosts.values())
        finally:
            await self.sockets.close()

    def add_host(self, peer_id: PeerId, ip: str | None = None) -> TcpHost:
        """A new host without connections; takes those dialled to it after the next `open`. See MemoryNetwork for `ip`."""
        host = self._hosts[peer_id] = TcpHost(self, peer_id, ip or self._addresses.of(peer_id))
        return host

    def remove_host(self, peer_id: PeerId) -> None:
        """A host is gone: its connections are cut, dials to it and from it fail. Another may come under its id."""
        host = self._hosts[peer_id]
        host.close()
        del self._hosts[peer_id]
        self._frames_of_removed += host.frames

    def knows(self, peer_id: PeerId) -> bool:
        """Whether a peer is one of these hosts: whoever finds a listening socket can connect to it."""
        return peer_id in self._hosts

    def host(self, peer_id: PeerId) -> TcpHost:
        """A host by its id; raises DialError."""
        try:
            return self._hosts[peer_id]
        except KeyError:
            raise DialError(short(peer_id), "no such host") from None

    def disconnect(self, one: PeerId, other: PeerId) -> None:
        """Cut the connection of two hosts; both know at once."""
        for peer, remote in ((one, other), (other, one)):
            if peer in self._hosts:
                self._hosts[peer].forget(remote)

    @property
    def connections(self) -> int:
        """How many pairs of hosts are connected."""
        return sum(len(host.connections) for host in self._hosts.values()) // 2

    @property
    def frames(self) -> int:
        """Frames written to streams so far, empty ones not counted."""
        return self._frames_of_removed + sum(host.frames for host in self._hosts.values())

    @property
    def is_quiet(self) -> bool:
        """Whether every frame written has been taken, no dial is under way and both ends agree on each connection."""
        for host in self._hosts.values():
            if host.is_dialling:
                return False
            for peer, connection in host.connections.items():
                twin = self._hosts[peer].connections.get(host.peer_id) if peer in self._hosts else None
                if twin is None or twin.sent != connection.taken:
                    return False
        return True
