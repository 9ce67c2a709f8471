"""Both versions do the same in the same order with every feature of a host in use."""

from __future__ import annotations

import asyncio

import pytest

from pubsub_sim import HostOptions, HostParams, World, min_topic_size
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.seqno_validator import SeqnoValidator
from pubsub_sim.protocol.subscription_filter import RegexpFilter
from pubsub_sim.protocol.validation import Validator, Verdict
from pubsub_sim.wire.message import Message
from pubsub_sim.world.trace import TraceEvent
from tests.pubsub.worlds import FakePeer, key_of, play, sub, subscriptions


async def judge(peer: PeerId, message: Message) -> Verdict:
    """Takes its time, and refuses some."""
    await asyncio.sleep(0.001 * (message.data[0] % 5))
    return Verdict(message.data[0] % 3)


def options(number: int) -> HostOptions:
    return HostOptions(
        subscription_filter=RegexpFilter("^t") if number % 2 else None,
        default_validators=(
            Validator(function=SeqnoValidator(), inline=number == 2),
            Validator(function=judge, concurrency=2, timeout_s=0.0035, inline=number == 3),
        )
        if number
        else (),
    )


def traces(version: str, seed: int) -> list[list[TraceEvent]]:
    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        read = [await topics[n].subscribe(buffer=3) for n in (0, 1, 4)]
        stops = [await topics[n].relay() for n in (2, 3)]
        waiting = [asyncio.create_task(topics[0].publish(b"%d" % n, ready=min_topic_size(n))) for n in (4, 1, 3, 2)]
        await world.clock.sleep(1)
        fake = FakePeer(world)
        await fake.connect(world.pubsubs[0])
        stream = await fake.open(world.pubsubs[0])
        stream.write(subscriptions("t", "other"))
        await world.clock.sleep(0.01)
        fake.is_reading = False
        for number in range(60):
            await topics[0].publish(bytes([number]), key=key_of("virtual") if number % 7 == 0 else None)
            if number % 20 == 19:
                await world.clock.sleep(0.01)
        fake.resume()
        await world.clock.sleep(1)
        for _ in range(3):
            fake.inbound[-1].reset()
            await world.clock.sleep(0.5)
        await sub(world.pubsubs[4], "other")
        await world.pubsubs[3].blacklist(world.pubsubs[0].peer_id)
        await stops[0]()
        await read[1].cancel()
        await asyncio.gather(*waiting)
        await world.disconnect(0, 4)
        await topics[4].publish(b"\x03last")
        await world.clock.sleep(12)

    params = HostParams(outbound_queue_size=8, validate_queue_size=8, validate_throttle=3, validate_workers=2)
    world = play(version, script, hosts=5, seed=seed, discovery=True, options=options, params=params)
    return [[event for event in world.trace if event.host == host] for host in range(5)]


@pytest.mark.parametrize("seed", range(3))
def test_each_host_sees_the_same_with_all_features_in_use(seed: int) -> None:
    """Filters, default and slow validators, throttles, full queues, custom keys, dead streams, blacklists, readiness."""
    baseline, states = traces("baseline", seed), traces("states", seed)
    assert baseline == states
    kinds = {event.kind for events in baseline for event in events}
    assert {"drop_rpc", "undeliverable_message", "reject_message", "duplicate_message", "remove_peer"} <= kinds
    reasons = {event.detail for events in baseline for event in events if event.kind == "reject_message"}
    assert {"validation failed", "validation ignored", "validation throttled", "validation queue full"} <= reasons
