"""A standalone pubsub node: on TCP with libp2p's protocols, for peers in other processes and of other implementations.

It needs no `World`. Its key can be stored in a file, in go-libp2p's format of private keys.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pubsub_sim.checks import check_choice
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.net.clock import clock_of
from pubsub_sim.net.libp2p import Libp2pHost, Libp2pNetwork, Multiaddr
from pubsub_sim.net.libp2p_keys import read_key, write_key
from pubsub_sim.net.libp2p_limits import Libp2pLimits
from pubsub_sim.node.lifetime import Shielded
from pubsub_sim.node.pubsub import PubSub
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.wire.signing import KeyPair
from pubsub_sim.world.routers import ROUTERS, check_params, router_maker
from pubsub_sim.world.world import SIGNING

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.topic import Topic
    from pubsub_sim.protocol.options import HostOptions

SECURITY = {"noise": ("/noise",), "plaintext": ("/plaintext/2.0.0",)}
"""Security protocols by name, with the negotiated protocol ids."""

_SEED_BYTES = 32
_DRAIN_S = 1.0  # time limit for sending published messages on close


class Node:
    """One libp2p pubsub node. An async context manager, inside which the node runs.

    Args:
        listen: listening address as a multiaddr; by default loopback and a port chosen by the system.
        key: its identity: a seed of 32 bytes, or the path of a key file, which is created if missing; None for a new
            identity.
        router: "floodsub", "randomsub" or "gossipsub".
        version: version of the control flow, a name of `known_versions()`.
        sign: "strict" (everything is signed and verified), "none", "lax" or "lax-none".
        security: "noise", or "plaintext" for debugging, without encryption and authentication.
        params: the router's parameters.
        options: further options of the node.
        limits: limits on the resources used by peers.

    Attributes:
        pubsub: the node itself, inside the context.

    Raises:
        OptionError: an invalid argument.
        MultiaddrError: `listen` is not a multiaddr.
    """

    pubsub: PubSub

    def __init__(
        self,
        *,
        listen: str = "/ip4/127.0.0.1/tcp/0",
        key: bytes | str | Path | None = None,
        router: str = "gossipsub",
        version: str = "baseline",
        sign: str = "strict",
        security: str = "noise",
        params: HostParams | None = None,
        options: HostOptions | None = None,
        limits: Libp2pLimits | None = None,
    ) -> None:
        check_choice("router", router, ROUTERS)
        check_choice("sign", sign, SIGNING)
        check_choice("security", security, SECURITY)
        self._listen = Multiaddr.parse(listen)
        if self._listen.kind not in ("ip4", "ip6"):
            raise OptionError("listen", listen, "an IP address to listen on")
        self._key = KeyPair(_seed_of(key))
        self._router, self._policy, self._security = router, SIGNING[sign], SECURITY[security]
        self._params = check_params(router, params or HostParams())
        self._make_driver = driver_factory(version)
        self._options = options
        self._limits = limits
        self._network: Libp2pNetwork
        self._host: Libp2pHost

    @property
    def peer_id(self) -> PeerId:
        """Its peer id."""
        return self._key.peer_id

    @property
    def address(self) -> str:
        """Its listening address as a multiaddr with its peer id, for dialling. Valid inside the context."""
        return str(self._host.address)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        clock = clock_of(loop)
        if clock.kind == "virtual":
            raise OptionConflict("listen", str(self._listen), "clock", clock.kind, "sockets need the wall clock")
        key = self._key
        self._network = Libp2pNetwork(loop, {key.peer_id: key.sign_bytes}, security=self._security, limits=self._limits)
        self._host = self._network.add_host(key.peer_id, listen=self._listen)
        try:
            self.pubsub = PubSub(
                self._host,
                clock,
                random.Random(os.urandom(16)),
                key=key,
                router=router_maker(self._router)(0, (key.peer_id,), self._params),
                policy=self._policy,
                make_driver=self._make_driver,
                rendezvous=None,
                params=self._params,
                tracer=None,
                number=0,
                initial_seqno=time.time_ns(),  # above those of earlier runs with this key, as in the reference
                options=self._options,
            )
            self.pubsub.start()
            await self._network.open()
        except BaseException:
            await Shielded(self._network.close(), "close of the network").end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close the node; published messages have a second to be sent.

        Raises:
            ExceptionGroup: the errors, after all steps were run.
        """
        await Shielded(self._close(), "close of the node").end()

    async def _close(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while not (self.pubsub.is_idle and self._network.is_quiet):  # noqa: ASYNC110 - neither has an event for it
                    await asyncio.sleep(0.001)
        try:
            await self.pubsub.close()
        finally:
            await self._network.close()

    async def dial(self, multiaddr: str) -> PeerId:
        """Connect to a peer.

        Args:
            multiaddr: its address, e.g. "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW..."; without the peer id, any peer is accepted.

        Returns:
            Its peer id.

        Raises:
            MultiaddrError: it is not a multiaddr.
            DialError: the address cannot be reached, or has another peer.
        """
        return await self._host.dial(Multiaddr.parse(multiaddr))

    async def join(self, topic: str) -> Topic:
        """Join a topic. Raises TopicExists, TopicNotAllowed, OptionError or HostClosed, as `PubSub.join`."""
        return await self.pubsub.join(topic)

    def connected_peers(self) -> tuple[PeerId, ...]:
        """Peers with a connection, oldest first."""
        return tuple(self._host.connected_peers())


def _seed_of(key: bytes | str | Path | None) -> bytes:
    """Return the seed of an identity; a new one is written to its file."""
    if key is None:
        return os.urandom(_SEED_BYTES)
    if isinstance(key, bytes):
        if len(key) != _SEED_BYTES:
            raise OptionError("key", f"{len(key)} bytes", f"{_SEED_BYTES} bytes of seed")
        return key
    path = Path(key)
    if path.exists():
        return read_key(path)
    seed = os.urandom(_SEED_BYTES)
    write_key(path, seed, KeyPair(seed).peer_id)
    return seed
