"""Nodes without a world: identity, addresses, ends, and the chat of the command line."""

from __future__ import annotations

import asyncio
import stat
import sys
from pathlib import Path

import pytest

from pubsub_sim import HostParams, Node, OptionError, run
from pubsub_sim.errors import DialError, ListenError
from pubsub_sim.ids import short
from pubsub_sim.libp2p.errors import MultiaddrError
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.net.libp2p_book import AddressBook
from tests.libp2p.ends import key_of

VERSIONS = ("baseline", "states")


async def subscribed(*nodes: Node) -> None:
    """All nodes list all others in the topic."""
    async with asyncio.timeout(10):
        for node in nodes:
            while len(await node.pubsub.list_peers("t")) < len(nodes) - 1:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("security", ["noise", "plaintext"])
@pytest.mark.parametrize("version", VERSIONS)
def test_two_nodes_exchange_messages(version: str, security: str) -> None:
    """With no more than an address."""

    async def main() -> None:
        async with (
            Node(router="floodsub", version=version, security=security) as one,
            Node(router="floodsub", version=version, security=security) as other,
        ):
            topics = [await node.join("t") for node in (one, other)]
            subscriptions = [await topic.subscribe() for topic in topics]
            assert await other.dial(one.address) == one.peer_id
            await subscribed(one, other)
            await topics[0].publish(b"x")
            message = await subscriptions[1].next()
            assert (message.data, message.source) == (b"x", one.peer_id)
            assert one.connected_peers() == (other.peer_id,)

    run(main())


def test_what_was_published_leaves_before_the_end() -> None:
    """A node that publishes and ends at once loses nothing, as far as the peer's windows allow."""

    async def main() -> None:
        params = HostParams(outbound_queue_size=64, validate_queue_size=64, subscription_buffer=64)
        async with Node(router="floodsub", params=params) as stays:
            topic = await stays.join("t")
            subscription = await topic.subscribe()
            async with Node(router="floodsub", params=params) as goes:
                mine = await goes.join("t")
                await goes.dial(stays.address)
                while stays.peer_id not in await mine.list_peers():  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.005)
                for number in range(20):
                    await mine.publish(b"%d" % number + bytes(5000))
            async with asyncio.timeout(10):
                assert len({(await subscription.next()).data for _ in range(20)}) == 20

    run(main())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_file_keeps_the_identity_and_the_messages_are_new(version: str, tmp_path: Path) -> None:
    """A node that comes back with its key is not taken for a repetition by those who remember it."""
    key = tmp_path / "node.key"

    async def main() -> None:
        async with Node(router="floodsub") as witness:
            subscription = await (await witness.join("t")).subscribe()
            seen = []
            for _ in range(2):
                async with Node(router="floodsub", version=version, key=key) as node:
                    topic = await node.join("t")
                    await topic.subscribe()
                    await node.dial(witness.address)
                    await subscribed(node, witness)
                    await topic.publish(b"life")
                    seen.append(await asyncio.wait_for(subscription.next(), 10))
            assert seen[0].source == seen[1].source
            assert seen[0].seqno < seen[1].seqno

    run(main())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_options_that_cannot_be(tmp_path: Path) -> None:
    """Each is named; a key file is never overwritten."""
    with pytest.raises(OptionError, match="router"):
        Node(router="nothing")
    with pytest.raises(OptionError, match="security"):
        Node(security="tls")
    with pytest.raises(OptionError, match="32 bytes"):
        Node(key=b"short")
    with pytest.raises(MultiaddrError):
        Node(listen="127.0.0.1:80")
    with pytest.raises(OptionError, match="an IP address"):
        Node(listen="/dns4/example.org/tcp/1")
    broken = tmp_path / "broken.key"
    broken.write_bytes(b"no key")
    with pytest.raises(OptionError, match="a key file"):
        Node(key=broken)
    assert broken.read_bytes() == b"no key"


def test_errors_of_listening_and_dialling() -> None:
    """They name the address; a node that cannot begin leaves nothing behind."""

    async def main() -> None:
        async with Node() as node:
            place = Multiaddr.parse(node.address)
            with pytest.raises(ListenError):
                async with Node(listen=str(place.of_peer(None))):
                    pass
            gone = node.address
        async with Node() as other:
            with pytest.raises(DialError):
                await other.dial(gone)
            with pytest.raises(DialError):
                await other.dial(str(place.of_peer(None)))

    run(main())


def test_the_address_book_is_bounded() -> None:
    """In peers, the one not heard of for longest first, and in addresses of each, the oldest first."""
    book = AddressBook(peers=2, addresses=3)
    one, two, three = (key_of(name).peer_id for name in ("one", "two", "three"))
    for peer in (one, two, one, three):
        book.add(peer, [Multiaddr("127.0.0.1", 1)])
    assert (len(book), book.of(two)) == (2, ())
    book.add(one, [Multiaddr("127.0.0.1", port) for port in range(10, 20)])
    assert [address.port for address in book.of(one)] == [10, 11, 12]


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    async with asyncio.timeout(20):
        return (await stream.readline()).decode().rstrip("\n")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_node_of_the_command_line_chats(version: str) -> None:
    """It says where it listens, prints what others say, publishes its lines and ends with its input."""

    async def main() -> None:
        words = ["-m", "pubsub_sim", "node", "--topic", "t", "--router", "floodsub", "--version", version]
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            listening = await line_of(child.stderr)
            assert listening.startswith("listening on /ip4/127.0.0.1/tcp/")
            async with Node(router="floodsub") as node:
                topic = await node.join("t")
                subscription = await topic.subscribe()
                await node.dial(listening.removeprefix("listening on "))
                async with asyncio.timeout(10):
                    while not await topic.list_peers():  # noqa: ASYNC110 - there is no event for it
                        await asyncio.sleep(0.005)
                await topic.publish(b"hello")
                assert await line_of(child.stdout) == f"{short(node.peer_id)}: hello"
                assert child.stdin is not None
                child.stdin.write(b"hello yourself\n")
                child.stdin.close()
                async with asyncio.timeout(10):
                    assert [(await subscription.next()).data for _ in range(2)] == [b"hello", b"hello yourself"]
            assert await asyncio.wait_for(child.wait(), 20) == 0
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    run(main(), loop="asyncio")
