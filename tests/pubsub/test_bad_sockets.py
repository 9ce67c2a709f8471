"""Somebody finds a listening socket and says what it likes: the host stays up, and keeps nothing of what it refuses."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from pubsub_sim import World, run
from pubsub_sim.ids import PeerId
from pubsub_sim.net.tcp import TcpNetwork
from pubsub_sim.net.tcp_frames import Kind, control_frame, prefix
from pubsub_sim.protocol.params import FLOODSUB_ID, GOSSIPSUB_ID_V12
from tests.pubsub.hostile import TOPIC, message, signed
from tests.pubsub.test_bad_peers import NO_UTF8, PARAMS
from tests.pubsub.worlds import RPC, connect, key_of, subscriptions

MiB = 1 << 20
LIMIT_S = 30.0


async def greet(world: World, number: int, stranger: PeerId) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a host by hand."""
    assert isinstance(world.network, TcpNetwork)
    reader, writer = await asyncio.open_connection(*world.network.host(world.peer_ids[number]).address)
    writer.write(b"pubsub_sim 1\n\1" + bytes((len(stranger),)) + stranger)
    return reader, writer


@pytest.mark.parametrize(
    ("router", "spoken", "loop"), [("floodsub", FLOODSUB_ID, "asyncio"), ("scored", GOSSIPSUB_ID_V12, "uvloop")]
)
def test_a_frame_of_two_hundred_megabytes_is_refused_at_its_announcement(
    version: str, router: str, spoken: str, loop: str
) -> None:
    """The stranger's other RPCs are heard, and the hosts go on relaying."""

    async def main() -> None:
        made = "gossipsub" if router == "scored" else router
        async with (
            asyncio.timeout(LIMIT_S),
            World(2, version=version, router=made, seed=1, transport="tcp", params=PARAMS[router]) as world,
        ):
            topics = [await ps.join(TOPIC) for ps in world.pubsubs]
            read = [await topic.subscribe() for topic in topics]
            await connect(world, (0, 1))
            if made == "gossipsub":
                while not all(ps.router.mesh[TOPIC] for ps in world.pubsubs):  # noqa: ASYNC110 - a mesh has no event for it
                    await asyncio.sleep(0.01)
            reader, writer = await greet(world, 1, key_of("attacker").peer_id)
            heard = [subscriptions(TOPIC), NO_UTF8, RPC(publish=[signed(message(1))]).SerializeToString()]
            writer.write(control_frame(Kind.OPEN, 1, spoken))
            writer.writelines(prefix(len(frame)) + frame for frame in heard)
            assert (await read[0].next()).data == b"hostile 1"
            tracemalloc.start()
            try:
                writer.write(prefix(200 * MiB))
                await reader.readuntil(control_frame(Kind.STOP, 1, ""))
                for _ in range(32):
                    writer.write(bytes(MiB))
                    await writer.drain()
                assert tracemalloc.get_traced_memory()[1] < 8 * MiB
            finally:
                tracemalloc.stop()
            await topics[0].publish(b"honest")
            while (await read[1].next()).data != b"honest":
                pass
            writer.close()

    run(main(), loop=loop)
