"""A py-libp2p node that the interoperability tests control, with the commands and events of the Go node as far as it has them.

Commands are lines on stdin, events are JSON objects on stdout, one per line. It ends when stdin closes. Imports nothing of
this project: it runs where py-libp2p is installed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

import trio  # type: ignore[import-not-found] # only in the program's own environment
from libp2p import generate_new_ed25519_identity, new_host  # type: ignore[import-not-found] # likewise
from libp2p.peer.id import ID  # type: ignore[import-not-found] # likewise
from libp2p.peer.peerinfo import info_from_p2p_addr  # type: ignore[import-not-found] # likewise
from libp2p.pubsub import floodsub, gossipsub  # type: ignore[import-not-found] # likewise
from libp2p.pubsub.pubsub import Pubsub  # type: ignore[import-not-found] # likewise
from libp2p.tools.anyio_service import background_trio_service  # type: ignore[import-not-found] # likewise
from multiaddr import Multiaddr  # type: ignore[import-not-found] # likewise

LISTEN = "/ip4/127.0.0.1/tcp/0"
LOOK_S = 0.01  # between looks at what the library has no event for
MOST_PER_S = 1e9  # messages per topic that it takes from itself and others


def tell(event: str, **facts: object) -> None:
    """Write an event."""
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


class Node:
    """A node and the topics it has joined.

    Args:
        host: of the library.
        pubsub: of the library.
        nursery: of its background tasks.
        pace_s: pause between two messages that are published, as the library drops those of a loop.
    """

    def __init__(self, host: Any, pubsub: Any, nursery: Any, pace_s: float) -> None:
        self._host = host
        self._pubsub = pubsub
        self._nursery = nursery
        self._pace_s = pace_s

    async def dial(self, address: str) -> None:
        """Connect to a peer."""
        await self._host.connect(info_from_p2p_addr(Multiaddr(address)))

    async def join(self, topic: str) -> None:
        """Subscribe, and tell of messages and peers from then on."""
        subscription = await self._pubsub.subscribe(topic)
        self._nursery.start_soon(self._read, topic, subscription)
        self._nursery.start_soon(self._watch, topic)

    async def leave(self, topic: str) -> None:
        """Unsubscribe."""
        await self._pubsub.unsubscribe(topic)

    async def publish(self, topic: str, prefix: str, count: str, size: str) -> None:
        """Publish so many messages."""
        for number in range(int(count)):
            await self._pubsub.publish(topic, f"{prefix} {number}".encode().ljust(int(size)))
            await trio.sleep(self._pace_s)

    async def _read(self, topic: str, subscription: Any) -> None:
        while True:
            try:
                message = await subscription.get()
            except trio.EndOfChannel:  # unsubscribed
                return
            text = message.data[:60].decode().rstrip(" ")
            author = ID(message.from_id).to_base58()
            tell(
                "message",
                topic=topic,
                text=text,
                size=len(message.data),
                signed=bool(message.signature),
                **{"from": author},
            )

    async def _watch(self, topic: str) -> None:
        """Tell which peers have subscribed, and with whom the topic's mesh is shared."""
        known: dict[str, set[str]] = {"joined": set(), "graft": set()}
        while True:
            mesh = getattr(self._pubsub.router, "mesh", {})
            for event, found in (("joined", self._pubsub.peer_topics.get(topic, ())), ("graft", mesh.get(topic, ()))):
                names = {peer.to_base58() for peer in found}
                for peer in names - known[event]:
                    tell(event, peer=peer, topic=topic)
                for peer in known[event] - names:
                    tell({"joined": "left", "graft": "prune"}[event], peer=peer, topic=topic)
                known[event] = names
            await trio.sleep(LOOK_S)


def router_of(name: str) -> Any:
    """Make a router of the library, with a heartbeat of a second as the others have."""
    if name == "floodsub":
        return floodsub.FloodSub(protocols=[floodsub.PROTOCOL_ID])
    return gossipsub.GossipSub(
        protocols=[gossipsub.PROTOCOL_ID_V12, gossipsub.PROTOCOL_ID_V11],
        degree=6,
        degree_low=5,
        degree_high=12,
        heartbeat_interval=1,
        max_messages_per_topic_per_second=MOST_PER_S,
        eclipse_protection_enabled=False,
    )


async def main(router: str, pace_s: float) -> None:
    """Run the node until stdin closes."""
    address = Multiaddr(LISTEN)
    host = new_host(key_pair=generate_new_ed25519_identity(), listen_addrs=[address])
    pubsub = Pubsub(host, router_of(router), strict_signing=True)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(host.run([address]))
        await stack.enter_async_context(background_trio_service(pubsub))
        if router == "gossipsub":
            await stack.enter_async_context(background_trio_service(pubsub.router))
        await pubsub.wait_until_ready()
        nursery = await stack.enter_async_context(trio.open_nursery())
        node = Node(host, pubsub, nursery, pace_s)
        peer = host.get_id().to_base58()
        listening = str(host.get_addrs()[0])
        tell("ready", address=listening if "/p2p/" in listening else f"{listening}/p2p/{peer}", peer=peer)
        async for line in lines():
            command, *words = line.split()
            try:
                await getattr(node, command)(*words)
            except Exception as error:
                tell("error", command=command, error=f"{type(error).__name__}: {error}")
            else:
                tell("done", command=command)
    os._exit(0)  # some of its background tasks do not end by themselves


async def lines() -> Any:
    """The lines of stdin, until its end, which ends the process."""
    rest = b""
    stdin = trio.lowlevel.FdStream(os.dup(0))
    async for data in stdin:
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode()
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-router", choices=("floodsub", "gossipsub"), default="gossipsub")
    parser.add_argument("-pace", type=float, default=0.0)
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    trio.run(main, arguments.router, arguments.pace)
