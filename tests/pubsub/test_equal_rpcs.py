"""What one RPC holds is taken in its order, by both versions: a message is published before what follows it."""

from __future__ import annotations

import pytest

from pubsub_sim import World
from pubsub_sim.protocol.params import GOSSIPSUB_ID_V11
from pubsub_sim.wire.rpc_pb2 import RPC, ControlIWant, ControlMessage
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from tests.pubsub.worlds import FakePeer, play, sub


def hears(version: str, *, wants: bool = False) -> tuple[list[str], list[int]]:
    """What a host traces of an RPC with a fresh message, the same again, another, and a wish; and what it answers."""
    messages = [WireMessage(data=data, topic="t", author=b"author", seqno=seqno.to_bytes(8, "big")) for data, seqno in
                ((b"one", 1), (b"one", 1), (b"two", 2))]  # fmt: skip
    rpc = RPC(publish=messages)
    if wants:
        rpc.control.CopyFrom(ControlMessage(iwant=[ControlIWant(message_ids=[b"author" + (1).to_bytes(8, "big")])]))
    answers: list[int] = []

    async def script(world: World) -> None:
        (ps,) = world.pubsubs
        await sub(ps, "t")
        peer = FakePeer(world, protocol=GOSSIPSUB_ID_V11)
        await peer.connect(ps)
        stream = await peer.open(ps)
        await world.settle()
        stream.write(rpc.SerializeToString())
        await world.settle()
        answers.extend(len(heard.publish) for heard in peer.rpcs if heard.publish)

    world = play(version, script, hosts=1, router="gossipsub", sign="none")
    kinds = [event.kind for event in world.trace if event.kind in ("deliver_message", "duplicate_message")]
    return kinds, answers


@pytest.mark.parametrize("wants", [False, True])
def test_a_message_is_published_before_the_rest_of_its_rpc(version: str, wants: bool) -> None:
    """The second copy is a duplicate of a delivered one, and a wish for the first is fulfilled at once."""
    kinds, answers = hears(version, wants=wants)
    assert kinds == ["deliver_message", "duplicate_message", "deliver_message"]
    assert answers == ([1] if wants else [])
