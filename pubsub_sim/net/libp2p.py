"""The libp2p network: hosts that speak libp2p over TCP, behind the same ports as the other networks. Wall time only.

The network may hold hosts of its own only, as worlds do, or one host whose peers are anywhere. See `libp2p_host` for one
host, `libp2p_connection` for what goes over a socket and `libp2p_peer` for the pair of streams with a peer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_choice
from pubsub_sim.ids import PeerId
from pubsub_sim.libp2p.ciphers import fastest_cipher
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.noise import NOISE
from pubsub_sim.libp2p.security import Identity
from pubsub_sim.libp2p.upgrade import MUXERS, SECURITY
from pubsub_sim.net.libp2p_connection import Connection
from pubsub_sim.net.libp2p_host import Libp2pHost
from pubsub_sim.net.libp2p_limits import Libp2pLimits
from pubsub_sim.net.memory import Addresses, close_all
from pubsub_sim.net.sockets import Sockets

if TYPE_CHECKING:
    from pubsub_sim.libp2p.ciphers import Cipher

__all__ = ["LOOPBACK", "Libp2pHost", "Libp2pNetwork", "Multiaddr"]

LOOPBACK = Multiaddr("127.0.0.1", 0)
"""Where hosts listen unless told otherwise: on loopback, at a port the system chooses."""

LINGER_S = 1.0
"""How long the end of a network waits until what was written has left."""


class Libp2pNetwork:
    """Hosts of one process and their sockets.

    Args:
        loop: the event loop all of them run on, on wall time.
        signers: what signs with the identity key of each host that may be added.
        security: the security protocols, best first.
        make_cipher: makes the cipher of a key; None for the fastest that is installed.
        limits: what peers may cost a host.

    Raises:
        OptionError: an unknown security protocol.

    Attributes:
        sockets: the connected ones.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        signers: Mapping[PeerId, Callable[[bytes], bytes]],
        *,
        security: Sequence[str] = (NOISE,),
        make_cipher: Callable[[bytes], Cipher] | None = None,
        limits: Libp2pLimits | None = None,
    ) -> None:
        for protocol in security:
            check_choice("security", protocol, SECURITY)
        self.loop = loop
        self.security = tuple(security)
        self.limits = Libp2pLimits() if limits is None else limits
        self.sockets = Sockets()
        self._signers = signers
        self._make_cipher = fastest_cipher() if make_cipher is None else make_cipher
        self._addresses = Addresses()
        self._hosts: dict[PeerId, Libp2pHost] = {}
        self._ends: dict[tuple[tuple[str, int], tuple[str, int]], Connection] = {}  # by local and remote address
        self._frames_of_removed = 0

    async def open(self) -> None:
        """Let the hosts added so far take connections."""
        for host in list(self._hosts.values()):
            await host.listen()

    async def close(self) -> None:
        """Close all hosts, and wait until their sockets are closed: those that do not close in time are cut off.

        Raises:
            ExceptionGroup: some hosts could not be closed; all others are, and all sockets.
        """
        try:
            close_all(self._hosts.values())
        finally:
            await self.sockets.drain(LINGER_S)
            await self.sockets.close()

    def add_host(self, peer_id: PeerId, ip: str | None = None, listen: Multiaddr = LOOPBACK) -> Libp2pHost:
        """A new host without connections; takes those dialled to it after the next `open`.

        Args:
            peer_id: who it is; one of those that have a signer.
            ip: its address as the network's other hosts see it.
            listen: where it listens.

        Raises:
            ListenError: it cannot listen there.
        """
        identity = Identity(
            peer_id=peer_id,
            sign=self._signers[peer_id],
            random=os.urandom,
            make_cipher=self._make_cipher,
            muxers=MUXERS,
        )
        host = self._hosts[peer_id] = Libp2pHost(self, identity, ip or self._addresses.of(peer_id), listen)
        return host

    def remove_host(self, peer_id: PeerId) -> None:
        """A host is gone: its connections are cut, dials to it and from it fail. Another may come under its id."""
        host = self._hosts[peer_id]
        for connection in host.connections:
            self.disconnect(peer_id, connection.peer)
        host.close()
        del self._hosts[peer_id]
        self._frames_of_removed += host.frames

    def host(self, peer_id: PeerId) -> Libp2pHost:
        """One of the hosts of this network, by its id."""
        return self._hosts[peer_id]

    def addresses_of(self, host: Libp2pHost, peer: PeerId) -> Sequence[Multiaddr]:
        """Where a host may dial a peer."""
        if peer in self._hosts:
            return (self._hosts[peer].address,)
        return host.book.of(peer)

    def ip_of(self, peer: PeerId) -> str | None:
        """The address the network gave to a host of its own; None for others."""
        return self._hosts[peer].ip if peer in self._hosts else None

    def disconnect(self, one: PeerId, other: PeerId) -> None:
        """Cut the connections of two hosts; both know at once."""
        for peer, remote in ((one, other), (other, one)):
            if peer in self._hosts:
                self._hosts[peer].forget(remote)

    def opened(self, connection: Connection) -> None:
        """Note an end of a connection."""
        self.sockets.opened(connection.transport)
        self._ends[connection.local, connection.remote] = connection

    def ended(self, connection: Connection) -> None:
        """Forget an end of a connection."""
        if self._ends.get((connection.local, connection.remote)) is connection:
            del self._ends[connection.local, connection.remote]

    @property
    def connections(self) -> int:
        """How many pairs of hosts are connected."""
        return sum(len(host.peers) for host in self._hosts.values()) // 2

    @property
    def frames(self) -> int:
        """Frames written to streams so far, empty ones not counted."""
        return self._frames_of_removed + sum(host.frames for host in self._hosts.values())

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way between hosts of this network, and nothing of ours waits to be sent."""
        if any(host.is_dialling or host.is_blocked for host in self._hosts.values()):
            return False
        return all(self._is_at_rest(connection) for connection in self._ends.values())

    def _is_at_rest(self, connection: Connection) -> bool:
        if connection.is_upgraded and (connection.is_flushing or connection.session.has_output):
            return False
        twin = self._ends.get((connection.remote, connection.local))
        if twin is not None:
            if not connection.is_upgraded or not twin.is_upgraded:
                return False
            return connection.channel.sent == twin.channel.received
        return not connection.is_upgraded or connection.peer not in self._hosts  # a peer of another process
