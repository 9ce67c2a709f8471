"""Our nodes and those of py-libp2p and js-libp2p in one topic, as far as these are installed.

Run by `make interop PEERS=1`, which installs them. py-libp2p drops messages that are published in a loop, so that it is paced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.interop.ours import (
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

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".venv-peers"
PYTHON, JS = BUILT / "bin" / "python", BUILT / "js_node"
COMMANDS = {
    "py-libp2p": [str(PYTHON), str(Path(__file__).parent / "py_node.py")],
    "js-libp2p": ["node", "--import", str(JS / "with_resolvers.mjs"), str(JS / "main.mjs")],
}
NEEDED = {"py-libp2p": PYTHON, "js-libp2p": JS / "node_modules" / "libp2p"}
PACE_S = {"floodsub": 0.02, "gossipsub": 0.12}
SPOKEN = (("py-libp2p", "floodsub"), ("py-libp2p", "gossipsub"), ("js-libp2p", "gossipsub"))
PLAY_LIMIT_S, PACED_LIMIT_S = 90.0, 40.0


@asynccontextmanager
async def theirs(name: str, router: str) -> AsyncIterator[Peer]:
    """A node of an implementation in the topic, or a skipped test where it is not installed."""
    if not NEEDED[name].exists():
        pytest.skip(f"{name} is installed by `make interop PEERS=1`")
    flags = ["-router", router, "-pace", str(PACE_S[router])] if name == "py-libp2p" else []
    async with started([*COMMANDS[name], *flags]) as peer:
        await peer.do("join", TOPIC)
        yield peer


@pytest.mark.parametrize("dialler", ["ours", "theirs"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "router"), SPOKEN)
def test_one_and_one(name: str, router: str, version: str, dialler: str) -> None:
    """Whoever dials: subscriptions both ways, 100 signed messages each way, each once."""

    async def main() -> None:
        async with ours(router, version) as mine, theirs(name, router) as peer:
            if dialler == "ours":
                await mine.node.dial(peer.address)
            else:
                await peer.do("dial", mine.node.address)
            await subscribed(mine, peer)
            if router == "gossipsub":
                await meshed([mine], [peer])
            await exchange([mine], [peer], limit_s=PACED_LIMIT_S)

    play(main(), PLAY_LIMIT_S)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "router"), SPOKEN)
def test_unsubscribing_is_heard_by_the_other(name: str, router: str, version: str) -> None:
    """Both ways."""

    async def main() -> None:
        async with ours(router, version) as mine, theirs(name, router) as peer:
            await mine.node.dial(peer.address)
            await subscribed(mine, peer)
            await mine.subscription.cancel()
            await peer.when_event("left", peer=mine.peer)
            await peer.do("leave", TOPIC)

            async def is_gone() -> bool:
                return not await mine.lists()

            await until(is_gone, SUBSCRIBED_LIMIT_S, "the other node's leave")

    play(main())


@pytest.mark.parametrize(("name", "router"), SPOKEN)
def test_reconnecting_after_a_kill(name: str, router: str) -> None:
    """A node is killed, and another dialled in its place."""

    async def main() -> None:
        async with ours(router, "states") as mine:
            async with theirs(name, router) as killed:
                await mine.node.dial(killed.address)
                await subscribed(mine, killed)
                await killed.kill()

            async def is_alone() -> bool:
                return not mine.node.connected_peers() and not await mine.lists()

            await until(is_alone, SUBSCRIBED_LIMIT_S, "the end of the killed node")
            async with theirs(name, router) as peer:
                await peer.do("dial", mine.node.address)
                await subscribed(mine, peer)
                if router == "gossipsub":
                    await meshed([mine], [peer])
                await exchange([mine], [peer], count=10)

    play(main())


@pytest.mark.parametrize("version", VERSIONS)
def test_all_in_one_topic(go_node: Path, version: str) -> None:
    """A Go, a js and a py-libp2p node, each connected with ours only: ours passes on what each of them says."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            mine = await stack.enter_async_context(ours("gossipsub", version))
            peers = [await stack.enter_async_context(theirs(name, "gossipsub")) for name in COMMANDS]
            peers.append(await stack.enter_async_context(started([str(go_node), "-router", "gossipsub"])))
            await peers[-1].do("join", TOPIC)
            for peer in peers:
                await mine.node.dial(peer.address)
            for peer in peers:
                await subscribed(mine, peer)
                await peer.when_event("graft", peer=mine.peer)
            await exchange([mine], peers, count=20, limit_s=PACED_LIMIT_S)

    play(main(), PLAY_LIMIT_S)
