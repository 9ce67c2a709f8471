"""Hosts of the libp2p network over real sockets, and peers that speak as far as a test wants."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pubsub_sim.libp2p.upgrade import Upgrade
from pubsub_sim.net.libp2p import Libp2pHost, Libp2pNetwork
from pubsub_sim.net.libp2p_limits import Libp2pLimits
from pubsub_sim.ports import Stream
from tests.libp2p.ends import identity_of, key_of
from tests.net.frames import PROTOCOL, Reader, Writer, serve

LIMIT_S = 10.0
KEYS = [key_of(f"host {number}") for number in range(3)]
LIMITS = Libp2pLimits(upgrade_s=0.3, dial_s=0.5, identify_s=0.5, negotiate_s=0.3, upgrading=8, per_peer=3, streams=16)


@dataclass
class Net:
    """Three hosts that are not connected."""

    network: Libp2pNetwork
    hosts: list[Libp2pHost]
    readers: list[list[Reader]]
    unhandled: list[object]  # what reached the event loop
    strangers: list[Raw]  # peers that are no hosts of ours


Play = Callable[[Callable[[Net], Awaitable[None]]], None]


@asynccontextmanager
async def three_hosts(security: str) -> AsyncIterator[Net]:
    """Three hosts that listen, and are closed afterwards."""
    loop = asyncio.get_running_loop()
    unhandled: list[object] = []
    strangers: list[Raw] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context.get("exception") or context["message"]))
    signers = {key.peer_id: key.sign_bytes for key in KEYS}
    network = Libp2pNetwork(loop, signers, security=[security], limits=LIMITS)
    try:
        hosts = [network.add_host(key.peer_id) for key in KEYS]
        readers = [serve(host, time.monotonic_ns) for host in hosts]
        await network.open()
        yield Net(network, hosts, readers, unhandled, strangers)
    finally:
        for stranger in strangers:
            stranger.transport.abort()
        await network.close()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the state is the network's, which has no event for it
        await asyncio.sleep(0)


async def rest(net: Net) -> None:
    await until(lambda: net.network.is_quiet)
    for _ in range(3):
        await asyncio.sleep(0)


async def opened(net: Net, a: int = 0, b: int = 1) -> Writer:
    await net.hosts[a].connect(KEYS[b].peer_id)
    return Writer(await net.hosts[a].open_stream(KEYS[b].peer_id, [PROTOCOL]))


async def write(to: Stream, frame: bytes) -> None:
    while not to.write(frame):  # noqa: ASYNC110 - who writes here does not listen for room
        await asyncio.sleep(0)


class Raw(asyncio.Protocol):
    """A peer that speaks as far as a test wants."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def raw(net: Net) -> Raw:
    address = net.hosts[0].address
    _, peer = await asyncio.get_running_loop().create_connection(Raw, address.host, address.port)
    net.strangers.append(peer)
    return peer


class Upgraded(Raw):
    """A peer with an upgraded connection that may send any frames of yamux."""

    def __init__(self, security: str) -> None:
        super().__init__()
        self.upgrade = Upgrade(identity_of("hostile"), [security], is_dialler=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(self.upgrade.begin())

    def data_received(self, data: bytes) -> None:
        if self.upgrade.is_over:
            self.received += self.upgrade.secured.channel.open(data)
        else:
            self.transport.write(self.upgrade.receive(data))

    def send(self, *frames: bytes) -> None:
        self.transport.write(self.upgrade.secured.channel.seal(b"".join(frames)))


async def upgraded(net: Net) -> Upgraded:
    loop, host = asyncio.get_running_loop(), net.hosts[0]
    security = net.network.security[0]
    before = len(host.connections)
    _, peer = await loop.create_connection(lambda: Upgraded(security), host.address.host, host.address.port)
    net.strangers.append(peer)
    await until(lambda: peer.upgrade.is_over and (peer.ended.done() or len(host.connections) > before))
    return peer


def frame(kind: int, flags: int, number: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack(">HHII", kind, flags, number, length) + body


async def still_works(net: Net) -> None:
    """The host that was attacked, the first, takes connections, streams and frames of others."""
    writer = await opened(net, 1, 0)
    writer.stream.write(b"fine")
    await until(lambda: net.readers[0] and net.readers[0][-1].frames)
    assert net.readers[0][-1].frames == [b"fine"]
