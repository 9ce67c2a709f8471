"""Our nodes in the interoperability tests, and what is waited for: subscriptions, meshes, messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from pubsub_sim import GossipsubParams, HostParams, Node, run
from pubsub_sim.ids import to_base58
from pubsub_sim.node.topic import Subscription, Topic
from tests.interop.peers import Peer

VERSIONS = ("baseline", "states")
MESSAGES = 100
SUBSCRIBED_LIMIT_S, ARRIVED_LIMIT_S, SILENCE_S = 4.0, 20.0, 0.3
QUEUE = 4096
TOPIC = "interop"


def play(main: Coroutine[Any, Any, None], limit_s: float = 60.0) -> None:
    async def limited() -> None:
        async with asyncio.timeout(limit_s):
            await main

    run(limited())


def node(router: str, version: str, **options: Any) -> Node:
    """One of ours, with queues that do not drop: what is tested is the protocol, not the load."""
    sizes = {"outbound_queue_size": QUEUE, "validate_queue_size": QUEUE, "subscription_buffer": QUEUE}
    params = GossipsubParams(**sizes, idontwant=True) if router == "gossipsub" else HostParams(**sizes)
    return Node(router=router, version=version, **({"params": params} | options))


class Ours:
    """One of our nodes, subscribed."""

    def __init__(self, node: Node, topic: Topic, subscription: Subscription) -> None:
        self.node = node
        self.topic = topic
        self.subscription = subscription
        self.peer = to_base58(node.peer_id)
        self.received: list[tuple[str, str]] = []
        self.sizes: list[int] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.subscription:
            text = message.data[:60].decode(errors="replace").rstrip(" ")
            self.received.append((to_base58(message.source), text))
            self.sizes.append(len(message.data))

    async def lists(self) -> set[str]:
        return {to_base58(peer) for peer in await self.topic.list_peers()}

    async def close(self) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float, what: str) -> None:
    try:
        async with asyncio.timeout(limit_s):
            while not await condition():  # noqa: ASYNC110 - the state of two processes has no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {limit_s:g} s") from None


@asynccontextmanager
async def ours(router: str, version: str, **options: Any) -> AsyncIterator[Ours]:
    async with node(router, version, **options) as one:
        topic = await one.join(TOPIC)
        mine = Ours(one, topic, await topic.subscribe())
        try:
            yield mine
        finally:
            await mine.close()


async def subscribed(mine: Ours, peer: Peer, since: int = 0) -> None:
    """Both know that the other has subscribed."""

    async def is_listed() -> bool:
        return peer.peer in await mine.lists()

    await until(is_listed, SUBSCRIBED_LIMIT_S, "the other node's subscription")
    await peer.when_event("joined", peer=mine.peer, limit_s=SUBSCRIBED_LIMIT_S, since=since)


async def meshed(mine: list[Ours], peers: list[Peer]) -> None:
    """Everybody is in everybody's mesh: what is published now reaches all at once."""
    others = len(mine) + len(peers) - 1

    async def is_full() -> bool:
        return all(len(one.node.pubsub.router.mesh.get(TOPIC, ())) == others for one in mine)  # type: ignore[attr-defined]

    await until(is_full, 10, "full meshes of our nodes")
    for peer in peers:
        for one in mine:
            await peer.when_event("graft", peer=one.peer, topic=TOPIC)
        for other in peers:
            if other is not peer:
                await peer.when_event("graft", peer=other.peer, topic=TOPIC)


async def exchange(
    mine: list[Ours], peers: list[Peer], count: int = MESSAGES, size: int = 0, limit_s: float = ARRIVED_LIMIT_S
) -> None:
    """Each publishes so many messages; all arrive everywhere, once, with their author."""
    for one in mine:
        for number in range(count):
            await one.topic.publish(f"{one.peer} {number}".encode().ljust(size))
    for peer in peers:
        peer.send("publish", TOPIC, peer.peer, count, size)
    authors = [one.peer for one in mine] + [peer.peer for peer in peers]
    expected = Counter((author, f"{author} {number}") for author in authors for number in range(count))

    async def have_all() -> bool:
        return all(len(one.received) >= expected.total() for one in mine) and all(
            len(peer.messages()) >= expected.total() for peer in peers
        )

    with contextlib.suppress(AssertionError):  # what is missing is told below
        await until(have_all, limit_s, "all messages")
    await asyncio.sleep(SILENCE_S)  # a second copy would come now
    for one in mine:
        assert Counter(one.received) == expected
    for peer in peers:
        assert Counter(peer.messages()) == expected
        assert all(e["signed"] for e in peer.events if e["event"] == "message")
        assert not [e for e in peer.events if e["event"] in ("reject", "dropped", "undeliverable")]
