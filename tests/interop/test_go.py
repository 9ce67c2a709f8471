"""Our nodes and go-libp2p's in one topic: who lists whom, what arrives, what is refused, and what happens after an end.

Run by `make interop`. Everything is waited for by events. A connection takes milliseconds; what arrives after 5 s only, as
after a broken identify, fails the limit of 4 s on subscriptions.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from pubsub_sim.errors import DialError, MessageTooLarge
from tests.interop.ours import (
    ARRIVED_LIMIT_S,
    SUBSCRIBED_LIMIT_S,
    TOPIC,
    VERSIONS,
    exchange,
    meshed,
    ours,
    play,
    subscribed,
    until,
)
from tests.interop.peers import Peer, started

pytestmark = pytest.mark.interop

ROUTERS = ("floodsub", "randomsub", "gossipsub")
CI = (
    ("floodsub", "baseline", "ours", "noise"),
    ("randomsub", "states", "theirs", "noise"),
    ("gossipsub", "states", "ours", "noise"),
)
"""Cases that continuous integration runs, one per router; a reconnect comes on top."""


@asynccontextmanager
async def theirs(program: Path, router: str, *flags: str) -> AsyncIterator[Peer]:
    async with started([str(program), "-router", router, *flags]) as peer:
        await peer.do("join", TOPIC)
        yield peer


ONE_AND_ONE = [
    pytest.param(*case, id="-".join(case) + ("-ci" if case in CI else ""))
    for case in itertools.product(ROUTERS, VERSIONS, ("ours", "theirs"), ("noise", "plaintext"))
]


@pytest.mark.parametrize(("router", "version", "dialler", "security"), ONE_AND_ONE)
def test_one_and_one(go_node: Path, router: str, version: str, dialler: str, security: str) -> None:
    """Whoever dials: subscriptions both ways, 100 signed messages each way, each once; the muxer as the security allows."""

    async def main() -> None:
        async with (
            ours(router, version, security=security) as mine,
            theirs(go_node, router, "-security", security) as peer,
        ):
            if dialler == "ours":
                await mine.node.dial(peer.address)
            else:
                await peer.do("dial", mine.node.address)
            await subscribed(mine, peer)
            if router == "gossipsub":
                await meshed([mine], [peer])
            await exchange([mine], [peer])
            connected = await peer.when_event("connected", peer=mine.peer)
            assert connected["muxer"] == "/yamux/1.0.0"
            assert connected["early"] == (security == "noise")
            assert connected["direction"] == ("Inbound" if dialler == "ours" else "Outbound")

    play(main())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("router", ROUTERS)
def test_two_and_two(go_node: Path, router: str, version: str) -> None:
    """All connected, dialled by either side: everybody lists everybody, 100 messages from each reach all, once."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            mine = [await stack.enter_async_context(ours(router, version)) for _ in range(2)]
            peers = [await stack.enter_async_context(theirs(go_node, router)) for _ in range(2)]
            for number, one in enumerate(mine):
                for peer in peers[number:]:
                    await one.node.dial(peer.address)
                for peer in peers[:number]:
                    await peer.do("dial", one.node.address)
            await mine[0].node.dial(mine[1].node.address)
            await peers[0].do("dial", peers[1].address)
            for one in mine:
                for peer in peers:
                    await subscribed(one, peer)
            if router == "gossipsub":
                await meshed(mine, peers)
            await exchange(mine, peers, size=1200 if router == "gossipsub" else 0)
            if router == "gossipsub":
                for direction in ("sent", "received"):  # messages over 1 KiB: both sides say what they have already
                    assert [
                        e for e in peers[0].events if e.get("kind") == "idontwant" and e["direction"] == direction
                    ], direction

    play(main())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("router", ["floodsub", "gossipsub"])
def test_large_messages(go_node: Path, router: str, version: str) -> None:
    """1,000,000 bytes pass both ways; what does not fit into an RPC of 1 MiB is refused by `publish` with its size."""

    async def main() -> None:
        async with ours(router, version) as mine, theirs(go_node, router) as peer:
            await mine.node.dial(peer.address)
            await subscribed(mine, peer)
            if router == "gossipsub":
                await meshed([mine], [peer])
            await exchange([mine], [peer], count=8, size=1_000_000)
            assert set(mine.sizes) == {1_000_000}
            with pytest.raises(MessageTooLarge) as caught:
                await mine.topic.publish(bytes(1 << 20))
            assert caught.value.size_bytes > caught.value.limit_bytes == 1 << 20

    play(main())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("router", ["floodsub", "gossipsub"])
def test_a_forged_message_is_refused_by_both(go_node: Path, router: str, version: str) -> None:
    """Nobody delivers it; the Go node says why."""
    name = "/floodsub/1.0.0" if router == "floodsub" else "/meshsub/1.1.0"

    async def main() -> None:
        async with ours(router, version) as mine, theirs(go_node, router) as peer, theirs(go_node, router) as forger:
            await mine.node.dial(peer.address)
            await subscribed(mine, peer)
            for target in (mine.node.address, peer.address):
                await forger.do("forge", target, name, TOPIC, forger.peer)
            await peer.when_event("reject", reason="invalid signature")
            if router == "gossipsub":
                await meshed([mine], [peer])
            await mine.topic.publish(b"behind it")
            await peer.when_messages(1)
            assert (forger.peer, "forged") not in mine.received + peer.messages()
            assert len(peer.messages()) == 1

    play(main())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("router", ["floodsub", "gossipsub"])
def test_unsubscribing_is_heard_by_the_other(go_node: Path, router: str, version: str) -> None:
    """Both ways; with gossipsub as a PRUNE with a back-off."""

    async def main() -> None:
        async with ours(router, version) as mine, theirs(go_node, router) as peer:
            await mine.node.dial(peer.address)
            await subscribed(mine, peer)
            if router == "gossipsub":
                await meshed([mine], [peer])
            await mine.subscription.cancel()
            await peer.when_event("left", peer=mine.peer)
            if router == "gossipsub":
                await peer.when_event("control", kind="prune", direction="received")
            await peer.do("leave", TOPIC)

            async def is_gone() -> bool:
                return not await mine.lists()

            await until(is_gone, SUBSCRIBED_LIMIT_S, "the Go node's leave")

    play(main())


@pytest.mark.parametrize(
    ("router", "version"),
    [
        pytest.param(*case, id="-".join(case) + ("-ci" if case == ("gossipsub", "states") else ""))
        for case in itertools.product(ROUTERS, VERSIONS)
    ],
)
def test_reconnecting_after_a_kill(go_node: Path, tmp_path: Path, router: str, version: str) -> None:
    """A Go node is killed and another dialled; then ours ends, and comes back with its key: its new messages are new."""
    key = tmp_path / "key"

    async def main() -> None:
        async with ours(router, version, key=key) as mine:
            async with theirs(go_node, router) as killed:
                await mine.node.dial(killed.address)
                await subscribed(mine, killed)
                await killed.kill()

            async def is_alone() -> bool:
                return not mine.node.connected_peers() and not await mine.lists()

            await until(is_alone, SUBSCRIBED_LIMIT_S, "the end of the killed node")
            async with theirs(go_node, router) as peer:
                await mine.node.dial(peer.address)
                await subscribed(mine, peer)
                if router == "gossipsub":
                    await meshed([mine], [peer])
                await exchange([mine], [peer], count=10)
                first = mine.peer
                await mine.node.__aexit__(None, None, None)
                await peer.when_event("disconnected", peer=first)
                before, had = len(peer.events), len(peer.messages())
                async with ours(router, version, key=key) as again:
                    assert again.peer == first
                    await peer.do("dial", again.node.address)
                    await subscribed(again, peer, since=before)
                    if router == "gossipsub":
                        await peer.when_event("graft", peer=again.peer, since=before)
                    await again.topic.publish(b"again")
                    assert (await peer.when_messages(had + 1))[-1] == (first, "again")

    play(main())


@pytest.mark.parametrize("direction", ["Inbound", "Outbound"])
@pytest.mark.parametrize("version", VERSIONS)
def test_broken_streams_are_repaired(go_node: Path, version: str, direction: str) -> None:
    """The Go node resets its streams of pubsub in one direction: both sides know the subscriptions again, and messages pass."""

    async def main() -> None:
        async with ours("floodsub", version) as mine, theirs(go_node, "floodsub") as peer:
            await mine.node.dial(peer.address)
            await subscribed(mine, peer)
            await exchange([mine], [peer], count=3)
            before = len(peer.events)
            await peer.do("reset", mine.peer, direction)
            await peer.when_event("joined", peer=mine.peer, since=before)
            await subscribed(mine, peer, since=before)
            await mine.topic.publish(b"ours")
            peer.send("publish", TOPIC, "theirs", 1, 0)
            await peer.when(lambda e: e.get("text") == "ours")

            async def has_come() -> bool:
                return (peer.peer, "theirs 0") in mine.received

            await until(has_come, SUBSCRIBED_LIMIT_S, "a message after the repair")

    play(main())


@pytest.mark.parametrize("dialler", ["ours", "theirs"])
def test_a_go_node_with_all_defaults(go_node: Path, dialler: str) -> None:
    """It offers TLS first and listens on QUIC too; the two agree on Noise."""

    async def main() -> None:
        async with (
            ours("gossipsub", "baseline") as mine,
            theirs(go_node, "gossipsub", "-security", "default", "-listen", "/ip4/127.0.0.1/tcp/0") as peer,
        ):
            if dialler == "ours":
                await mine.node.dial(peer.address)
            else:
                await peer.do("dial", mine.node.address)
            await subscribed(mine, peer)
            connected = await peer.when_event("connected", peer=mine.peer)
            assert (connected["security"], connected["muxer"]) == ("/noise", "/yamux/1.0.0")

    play(main())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_go_node_that_floods(go_node: Path, version: str) -> None:
    """It publishes to all peers, and thousands of messages at once; each arrives once, and ours goes on."""

    async def main() -> None:
        async with ours("gossipsub", version) as mine, theirs(go_node, "gossipsub", "-floods") as peer:
            await mine.node.dial(peer.address)
            await subscribed(mine, peer)
            await meshed([mine], [peer])
            await peer.do("publish", TOPIC, "flood", 3000, 0)

            async def has_enough() -> bool:
                return len(mine.received) >= 2000  # queues of the Go node may drop some of a flood

            await until(has_enough, ARRIVED_LIMIT_S, "2,000 of 3,000 messages")
            assert len(set(mine.received)) == len(mine.received)
            await mine.topic.publish(b"still here")
            await peer.when(lambda e: e.get("text") == "still here")

    play(main())


def test_wrong_peers_are_found_out_both_ways(go_node: Path) -> None:
    """Whoever dials somebody else at an address is told, and nobody is connected."""

    async def main() -> None:
        async with (
            ours("floodsub", "baseline") as mine,
            theirs(go_node, "floodsub") as peer,
            ours("floodsub", "baseline") as other,
        ):
            with pytest.raises(DialError, match="answered"):
                await mine.node.dial(peer.address.replace(peer.peer, other.peer))
            before = len(peer.events)
            peer.send("dial", mine.node.address.replace(mine.peer, other.peer))
            assert (await peer.when_event("error", command="dial", since=before))["error"]
            assert not mine.node.connected_peers()

    play(main())


@pytest.mark.parametrize("version", VERSIONS)
def test_both_dial_at_once(go_node: Path, version: str) -> None:
    """Two connections may stand; messages pass all the same, once, and go on passing."""

    async def main() -> None:
        async with ours("floodsub", version) as mine, theirs(go_node, "floodsub") as peer:
            await asyncio.gather(mine.node.dial(peer.address), peer.do("dial", mine.node.address))
            await subscribed(mine, peer)
            await exchange([mine], [peer], count=20)

    play(main())
