"""The command `node`: publishes input lines in a topic and prints received messages."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pubsub_sim.checks import check_choice
from pubsub_sim.errors import OptionError, SubscriptionCancelled
from pubsub_sim.flags import from_flags
from pubsub_sim.ids import short
from pubsub_sim.node.topic import Subscription
from pubsub_sim.parameters import several
from pubsub_sim.world.routers import ROUTERS
from pubsub_sim.world.running import run
from pubsub_sim.world.standalone import SECURITY, Node


@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """Options of a node of the command line.

    Attributes:
        topic: the topic of the lines.
        listen: listening address as a multiaddr; port 0 lets the system choose.
        dial: multiaddrs of peers, separated by commas.
        key: file of the identity; created if missing.
        router: "floodsub", "randomsub" or "gossipsub".
        version: version of the control flow.
        security: "noise" or "plaintext".
        loop: the event loop, "uvloop" or "asyncio".

    Raises:
        OptionError: an invalid value.
    """

    topic: str
    listen: str = "/ip4/127.0.0.1/tcp/0"
    dial: tuple[str, ...] = ()
    key: str = ""
    router: str = "gossipsub"
    version: str = "baseline"
    security: str = "noise"
    loop: str = "uvloop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dial", several("dial", self.dial) if self.dial else ())
        check_choice("router", self.router, ROUTERS)
        check_choice("security", self.security, SECURITY)
        if not self.topic:
            raise OptionError("topic", self.topic, "a name")


def node_command(arguments: Sequence[str]) -> int:
    """Run a node until the end of the standard input; return the exit status."""
    options = from_flags(NodeOptions, "node", "run a libp2p node and chat in a topic", arguments)
    run(_chat(options), loop=options.loop)
    return 0


async def _chat(options: NodeOptions) -> None:
    async with Node(
        listen=options.listen,
        key=options.key or None,
        router=options.router,
        version=options.version,
        security=options.security,
    ) as node:
        _tell(f"listening on {node.address}")
        topic = await node.join(options.topic)
        subscription = await topic.subscribe()
        for address in options.dial:
            _tell(f"connected to {short(await node.dial(address))}")
        async with asyncio.TaskGroup() as group:
            group.create_task(_print_messages(subscription, node), name="printer")
            lines = _lines()
            while (line := await lines.get()) is not None:
                await topic.publish(line.encode())
            await subscription.cancel()


async def _print_messages(subscription: Subscription, node: Node) -> None:
    try:
        while True:
            message = await subscription.next()
            if message.source != node.peer_id:
                sys.stdout.write(f"{short(message.source)}: {message.data.decode(errors='replace')}\n")
                sys.stdout.flush()
    except SubscriptionCancelled:
        return


def _lines() -> asyncio.Queue[str | None]:
    """Return the lines of the standard input, None at its end; read in a thread, as loops cannot watch all kinds of files."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def tell(line: str | None) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, line)
        except RuntimeError:  # the loop was closed meanwhile
            return

    def read() -> None:
        for line in sys.stdin:
            tell(line.rstrip("\n"))
        tell(None)

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return queue


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
