"""The lower bound of the scenario's cost: flooding over queues or sockets, with the same frames and signatures and no pubsub.

A host is a set of message ids and a way to each of its peers. There is no discovery, no validation queue, no limit and
no stream. What a pubsub host costs above this is the cost of pubsub itself. The work is that of `simple_discovery`: equal
messages, equal publishers, equally many RPCs (over sockets their number depends on their order), each encoded once per
forwarding host and decoded at every hop.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_choice
from pubsub_sim.errors import OptionConflict, ScenarioFailure
from pubsub_sim.scenarios.lower_bound_links import Connections, Queues
from pubsub_sim.scenarios.simple_discovery import TOPIC, Outcome, PhaseCounts, go_on
from pubsub_sim.wire.codec import encode_subscriptions
from pubsub_sim.wire.message import outgoing
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.signing import KeyPair, is_signature_valid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pubsub_sim.scenarios.lower_bound_links import Links
    from pubsub_sim.scenarios.simple_discovery import Observe, Pause, SimpleDiscovery
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


class LowerBoundHost:
    """One host.

    Args:
        key: who it is.
        links: how it reaches the others.
        signs: whether it signs what it publishes, and verifies what it gets.

    Attributes:
        peer_id: who it is, to its peers.
        delivered: payloads in order of arrival.
        sent: frames sent.
        taken: frames that have come.
    """

    def __init__(self, key: KeyPair, links: Links, *, signs: bool) -> None:
        self.peer_id: bytes = key.peer_id
        self.delivered: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = 0
        self.taken = 0
        self._key = key
        self._packed = links.packed
        self._signs = signs
        self._peers: dict[bytes, Callable[[bytes], None]] = {}
        self._seen: set[bytes] = set()
        self._seqno = 0

    def linked(self, peer: bytes, send: Callable[[bytes], None]) -> None:
        """Keep the way to the peer, and announce the topic to it."""
        self._peers[peer] = send
        self.sent += 1
        send(self._packed(encode_subscriptions((TOPIC,), subscribe=True)))

    @property
    def connections(self) -> int:
        """Hosts it is connected with."""
        return len(self._peers)

    def publish(self, data: bytes) -> None:
        """Send a message of its own to everybody."""
        self._seqno += 1
        seqno = self._seqno.to_bytes(8, "big")
        wire = outgoing(TOPIC, data, author=self._key.peer_id, seqno=seqno)
        if self._signs:
            self._key.sign(wire)
        self._flood(self.peer_id, wire, self.peer_id, self.peer_id + seqno)

    def take(self, sender: bytes, frame: bytes) -> None:
        """Decode the frame, and flood each message that is new."""
        self.taken += 1
        for wire in RPC.FromString(frame).publish:
            author = wire.author
            message_id = author + wire.seqno
            if message_id not in self._seen:
                self._flood(sender, wire, author, message_id)

    def _flood(self, sender: bytes, wire: WireMessage, author: bytes, message_id: bytes) -> None:
        if self._signs and not is_signature_valid(wire):
            raise ScenarioFailure("rand msgs", "a signature is not valid")
        self._seen.add(message_id)
        self.delivered.put_nowait(wire.data)
        frame = self._packed(RPC(publish=[wire]).SerializeToString())
        for peer, send in self._peers.items():
            if peer != sender and peer != author:
                self.sent += 1
                send(frame)


async def lower_bound_discovery(options: SimpleDiscovery, phase: Observe, pause: Pause = go_on) -> Outcome:
    """Play the scenario between bare queues; phases that have nothing to do are there, and short.

    Args:
        options: what to play.
        phase: entered with its name around each phase.
        pause: called after each random message; may stop everything for a while.

    Raises:
        ScenarioFailure: a wrong payload or an invalid signature.
        OptionError: a router other than floodsub, no barrier, libp2p, or sockets on virtual time.
    """
    check_choice("router", options.router, ("floodsub",))
    check_choice("transport", options.transport, ("memory", "tcp"))
    if not options.barrier:
        raise OptionConflict(
            "barrier", False, "version", options.version, "it has no discovery, all hosts are connected"
        )
    loop = asyncio.get_running_loop()
    links: Links = (Connections if options.transport == "tcp" else Queues)(loop)
    try:
        return await _play(options, phase, pause, links)
    finally:
        await links.close()


async def _play(options: SimpleDiscovery, phase: Observe, pause: Pause, links: Links) -> Outcome:
    rng = random.Random(f"{options.seed}/publishers")
    hosts: list[LowerBoundHost] = []
    counts: list[PhaseCounts] = []

    @contextmanager
    def counted(name: str) -> Iterator[None]:
        before = sum(host.sent for host in hosts)
        with phase(name):
            yield
        counts.append(PhaseCounts(name, sum(host.sent for host in hosts) - before, 0, 0))

    with counted("init"):
        for number in range(options.hosts):
            key = KeyPair(hashlib.sha256(f"{options.seed}/key/{number}".encode()).digest())
            hosts.append(LowerBoundHost(key, links, signs=options.sign == "strict"))
    for name in ("subscribe", "ps1.Subscribe"):
        with counted(name):
            pass
    with counted("barrier"):
        await links.connect_all(hosts)
        await settle(hosts)
    with counted("first message"):
        hosts[0].publish(b"first message")
        await settle(hosts)
    with counted("verify first message"):
        await _expect(hosts, b"first message", "verify first message")
    with counted("rand msgs"):
        for i in range(options.messages):
            payload = b"%d the flooooooood %d" % (i, i)
            hosts[rng.randrange(len(hosts))].publish(payload)
            await _expect(hosts, payload, "rand msgs")
            pause()
        await settle(hosts)
    connections = sum(host.connections for host in hosts) // 2
    return Outcome(tuple(counts), connections, (options.messages + 1) * options.hosts)


async def settle(hosts: Sequence[LowerBoundHost]) -> None:
    """Wait until every frame sent has come."""
    while sum(host.sent - host.taken for host in hosts):  # noqa: ASYNC110 - a frame takes a round of the loop or two
        await asyncio.sleep(0)


async def _expect(hosts: Sequence[LowerBoundHost], payload: bytes, phase: str) -> None:
    for number, host in enumerate(hosts):
        data = await host.delivered.get()
        if data != payload:
            raise ScenarioFailure(phase, f"host {number} expected {payload!r}, got {data!r}")
