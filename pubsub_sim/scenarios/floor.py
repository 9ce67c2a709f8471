"""What is the least that the scenario costs? Flooding between queues: the same frames and signatures, no pubsub.

A host is a queue and a set of message ids. There is no discovery, no validation queue, no limit, no stream: what
a pubsub host costs above this is the price of being one. The work is that of `simple_discovery`: equal messages, equal
publishers, equally many RPCs, each encoded once per forwarding host and decoded at every hop.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_choice
from pubsub_sim.errors import OptionError, ScenarioFailure
from pubsub_sim.scenarios.simple_discovery import TOPIC, Outcome, PhaseCounts
from pubsub_sim.wire.codec import encode_subscriptions
from pubsub_sim.wire.message import outgoing
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.signing import KeyPair, is_signature_valid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pubsub_sim.scenarios.simple_discovery import Observe, SimpleDiscovery
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


class FloorHost:
    """One host.

    Args:
        key: who it is.
        loop: calls it when frames have come.
        signs: whether it signs what it publishes, and verifies what it gets.

    Attributes:
        inbox: frames that wait to be read, with their sender.
        delivered: payloads in order of arrival.
        rpcs: frames sent.
    """

    def __init__(self, key: KeyPair, loop: asyncio.AbstractEventLoop, *, signs: bool) -> None:
        self.inbox: deque[tuple[bytes, bytes]] = deque()
        self.delivered: asyncio.Queue[bytes] = asyncio.Queue()
        self.rpcs = 0
        self._key = key
        self._peer_id = key.peer_id
        self._loop = loop
        self._signs = signs
        self._links: dict[bytes, FloorHost] = {}
        self._seen: set[bytes] = set()
        self._seqno = 0

    def link(self, other: FloorHost) -> None:
        """Connect both, and let each announce the topic to the other."""
        hello = encode_subscriptions((TOPIC,), subscribe=True)
        for one, two in ((self, other), (other, self)):
            one._links[two._peer_id] = two
            one._send(two, hello)

    @property
    def connections(self) -> int:
        """Hosts it is connected with."""
        return len(self._links)

    def publish(self, data: bytes) -> None:
        """Send a message of its own to everybody."""
        self._seqno += 1
        seqno = self._seqno.to_bytes(8, "big")
        wire = outgoing(TOPIC, data, author=self._key.peer_id, seqno=seqno)
        if self._signs:
            self._key.sign(wire)
        self._take(self._peer_id, wire, self._peer_id, self._peer_id + seqno)

    def _drain(self) -> None:
        inbox, seen = self.inbox, self._seen
        while inbox:
            sender, frame = inbox.popleft()
            for wire in RPC.FromString(frame).publish:
                author = wire.author
                message_id = author + wire.seqno
                if message_id not in seen:
                    self._take(sender, wire, author, message_id)

    def _take(self, sender: bytes, wire: WireMessage, author: bytes, message_id: bytes) -> None:
        if self._signs and not is_signature_valid(wire):
            raise ScenarioFailure("rand msgs", "a signature is not valid")
        self._seen.add(message_id)
        self.delivered.put_nowait(wire.data)
        frame = RPC(publish=[wire]).SerializeToString()
        for peer, other in self._links.items():
            if peer != sender and peer != author:
                self._send(other, frame)

    def _send(self, other: FloorHost, frame: bytes) -> None:
        self.rpcs += 1
        inbox = other.inbox
        inbox.append((self._peer_id, frame))
        if len(inbox) == 1:
            self._loop.call_soon(other._drain)


async def floor_discovery(options: SimpleDiscovery, phase: Observe) -> Outcome:
    """Play the scenario between bare queues; phases that have nothing to do are there, and short.

    Args:
        options: what to play.
        phase: entered with its name around each phase.

    Raises:
        ScenarioFailure: a wrong payload or an invalid signature.
        OptionError: a router other than floodsub, a transport other than memory, or no barrier.
    """
    check_choice("router", options.router, ("floodsub",))
    check_choice("transport", options.transport, ("memory",))
    if not options.barrier:
        raise OptionError("barrier", options.barrier, "true, as the floor has no discovery: all hosts are connected")
    rng = random.Random(f"{options.seed}/publishers")
    hosts: list[FloorHost] = []
    counts: list[PhaseCounts] = []

    @contextmanager
    def counted(name: str) -> Iterator[None]:
        before = sum(host.rpcs for host in hosts)
        with phase(name):
            yield
        counts.append(PhaseCounts(name, sum(host.rpcs for host in hosts) - before, 0, 0))

    loop = asyncio.get_running_loop()
    with counted("init"):
        for number in range(options.hosts):
            key = KeyPair(hashlib.sha256(f"{options.seed}/key/{number}".encode()).digest())
            hosts.append(FloorHost(key, loop, signs=options.sign == "strict"))
    for name in ("subscribe", "ps1.Subscribe"):
        with counted(name):
            pass
    with counted("barrier"):
        _link_all(hosts)
        await _settle(hosts)
    with counted("first message"):
        hosts[0].publish(b"first message")
        await _settle(hosts)
    with counted("verify first message"):
        await _expect(hosts, b"first message", "verify first message")
    with counted("rand msgs"):
        for i in range(options.messages):
            payload = b"%d the flooooooood %d" % (i, i)
            hosts[rng.randrange(len(hosts))].publish(payload)
            await _expect(hosts, payload, "rand msgs")
        await _settle(hosts)
    connections = sum(host.connections for host in hosts) // 2
    return Outcome(tuple(counts), connections, (options.messages + 1) * options.hosts)


def _link_all(hosts: Sequence[FloorHost]) -> None:
    for number, host in enumerate(hosts):
        for other in hosts[number + 1 :]:
            host.link(other)


async def _settle(hosts: Sequence[FloorHost]) -> None:
    while any(host.inbox for host in hosts):  # noqa: ASYNC110 - a queue is emptied in a round of the loop
        await asyncio.sleep(0)


async def _expect(hosts: Sequence[FloorHost], payload: bytes, phase: str) -> None:
    for number, host in enumerate(hosts):
        data = await host.delivered.get()
        if data != payload:
            raise ScenarioFailure(phase, f"host {number} expected {payload!r}, got {data!r}")
