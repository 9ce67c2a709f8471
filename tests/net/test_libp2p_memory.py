"""A flood of hostile frames or handshakes takes no more memory of a libp2p host when it is longer.

`make hostile` sends floods of full length, 10,000 against 100,000 frames. What is left at the end is the host's own: timers of streams
that are over have run, and the garbage is gone.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Callable

import pytest

from pubsub_sim import run
from pubsub_sim.libp2p.identify import IDENTIFY_PUSH, make_identify
from pubsub_sim.libp2p.identify import PING as PING_PROTOCOL
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.multistream import HEADER, token
from pubsub_sim.libp2p.noise import NOISE
from pubsub_sim.libp2p.plaintext import PLAINTEXT
from pubsub_sim.libp2p.yamux_streams import ACK, DATA, FIN, PING, RST, SYN, WINDOW_UPDATE
from tests.libp2p.ends import identity_of
from tests.net.frames import PROTOCOL
from tests.net.libp2p_hosts import (
    LIMITS,
    Net,
    Upgraded,
    frame,
    raw,
    three_hosts,
    until,
    upgraded,
)


def a_stream(number: int, body: bytes, *, window: int = 0) -> list[bytes]:
    return [frame(WINDOW_UPDATE, SYN, number, window), frame(DATA, 0, number, len(body), body)]


def a_reset(number: int) -> bytes:
    return frame(WINDOW_UPDATE, RST, number, 0)


def told(number: int) -> bytes:
    """A push that names new protocols and addresses each time."""
    address = Multiaddr("127.0.0.1", 1 + number % 60_000)
    return make_identify(identity_of("hostile").peer_id, [f"/new/{number}/{n}" for n in range(20)], [address], None)


FLOODS: dict[str, Callable[[int], list[bytes]]] = {
    "streams": lambda n: a_stream(2 * n + 1, HEADER + token("/nothing")),
    "streams without a word": lambda n: [frame(WINDOW_UPDATE, SYN, 2 * n + 1, 0)],
    "streams that are reset": lambda n: [*a_stream(2 * n + 1, HEADER + token(PROTOCOL)), a_reset(2 * n + 1)],
    "streams that are finished": lambda n: [*a_stream(2 * n + 1, HEADER), frame(WINDOW_UPDATE, FIN, 2 * n + 1, 0)],
    "streams of frames": lambda n: a_stream(2 * n + 1, HEADER + token(PROTOCOL) + b"\x05hello\x7fabc"),
    "echoes": lambda n: [*a_stream(2 * n + 1, HEADER + token(PING_PROTOCOL) + bytes(32)), a_reset(2 * n + 1)],
    "pushes": lambda n: [
        *a_stream(2 * n + 1, HEADER + token(IDENTIFY_PUSH) + told(n)),
        frame(WINDOW_UPDATE, FIN, 2 * n + 1, 0),
    ],
    "pings": lambda n: [frame(PING, SYN, 0, n)],
    "answers": lambda n: [frame(PING, ACK, 0, n)],
    "frames for nobody": lambda n: [frame(DATA, 0, 2 * n + 1, 3, b"abc"), frame(WINDOW_UPDATE, 0, 2 * n + 1, 1)],
    "windows": lambda n: [frame(WINDOW_UPDATE, SYN if n == 0 else 0, 1, 1)],
}
"""Frames that a peer goes on sending, by kind."""

HANDSHAKES: dict[str, Callable[[int], bytes]] = {
    "broken handshakes": lambda n: (b"", b"\x13", HEADER, HEADER + token("/no"), HEADER + token(NOISE) + b"\0\x20ab")[
        n % 5
    ],
    "wrong handshakes": lambda n: (b"GET / HTTP/1.1", HEADER + token(NOISE) + b"\xff\xff", b"\xff" * 20)[n % 3],
}
"""What peers begin with that come, say this, and go."""

MOST_GROWTH = 1.2


def memory_after(security: str, kind: str, counts: tuple[int, ...]) -> list[int]:
    """Traced bytes of hosts and peers after each of these numbers of hostile frames or handshakes of a kind."""

    async def main() -> list[int]:
        async with three_hosts(security) as net:
            used: list[int] = []
            peer = await upgraded(net)
            for number in range(counts[-1]):
                if kind in FLOODS:
                    peer.send(*FLOODS[kind](number))
                else:
                    stranger = await raw(net)
                    stranger.transport.write(HANDSHAKES[kind](number))
                    stranger.transport.write_eof()
                    await stranger.ended
                    net.strangers.remove(stranger)
                if number % 50 == 49:
                    await drained(net, peer)
                if number + 1 in counts:
                    await drained(net, peer)
                    await asyncio.sleep(2 * LIMITS.negotiate_s)  # timers of streams that are over
                    for readers in net.readers:
                        readers.clear()
                    used.append(traced_bytes())
            assert not peer.ended.done()
            assert not net.unhandled
            return used

    gc.collect()
    tracemalloc.start()
    try:
        return run(main(), loop="asyncio")
    finally:
        tracemalloc.stop()


async def drained(net: Net, peer: Upgraded) -> None:
    """The host has read all that the peer has sent, and answered."""
    peer.send(frame(PING, SYN, 0, 0xFFFFFFFF))
    await until(lambda: frame(PING, ACK, 0, 0xFFFFFFFF) in bytes(peer.received) or peer.ended.done())
    peer.received.clear()


def traced_bytes() -> int:
    """What is alive, without the interpreter's cache of attributes."""
    clear = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # its name before Python 3.13
    clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("kind", [*FLOODS, *HANDSHAKES])
def test_a_short_flood_fills_no_memory(kind: str) -> None:
    """Five hundred frames or handshakes, and twice 450 more: a cache that is filled once grows in one span only."""
    first, second, third = memory_after(NOISE, kind, (500, 950, 1_400))
    assert min(second - first, third - second) <= (MOST_GROWTH - 1) * first


@pytest.mark.slow
@pytest.mark.parametrize("security", [NOISE, PLAINTEXT])
@pytest.mark.parametrize("kind", [*FLOODS, *HANDSHAKES])
def test_a_flood_fills_no_memory(security: str, kind: str) -> None:
    """A hundred thousand against ten thousand; of handshakes a tenth, as each takes a port for a minute."""
    short, long = memory_after(security, kind, (10_000, 100_000) if kind in FLOODS else (1_000, 10_000))
    print(f"{security:17} {kind:28} {short:>12,} {long:>12,} {long / short:.3f}")  # noqa: T201 - the figures are wanted
    assert long <= MOST_GROWTH * short
