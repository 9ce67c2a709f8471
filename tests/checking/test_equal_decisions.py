"""Both versions take the same decisions: host by host, the same things happen in the same order."""

from __future__ import annotations

import pytest

from pubsub_sim import LinkModel, World, min_topic_size, run
from pubsub_sim.world.trace import TraceEvent


def traces(version: str, seed: int, sign: str, link: LinkModel | None = None) -> list[list[TraceEvent]]:
    """What each host saw: discovery, subscriptions, floods from all hosts, a leave, a cut and a reconnection."""

    async def main() -> list[list[TraceEvent]]:
        async with World(5, version=version, seed=seed, sign=sign, link=link, trace=True) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            subscriptions = [await topic.subscribe() for topic in topics]
            await world.settle()
            await world.connect_all()
            await world.settle()
            for number in range(10):
                await topics[number % 5].publish(b"%d" % number, ready=min_topic_size(4))
                for subscription in subscriptions:
                    await subscription.next()
            await subscriptions[4].cancel()
            await world.disconnect(0, 1)
            await world.settle()
            await topics[0].publish(b"around", ready=min_topic_size(1))
            await world.settle()
            await world.connect(1, 0)
            await world.settle()
            await topics[2].publish(b"all")
            await world.settle()
            return [[event for event in world.trace if event.host == host] for host in range(5)]

    return run(main(), clock="virtual")


@pytest.mark.parametrize("sign", ["strict", "none"])
@pytest.mark.parametrize("seed", range(3))
def test_each_host_sees_the_same_in_the_same_order(seed: int, sign: str) -> None:
    """RPCs with their bytes, deliveries, duplicates, joins and drops, with their virtual times."""
    baseline, states = traces("baseline", seed, sign), traces("states", seed, sign)
    assert baseline == states
    assert sum(map(len, baseline)) > 300


@pytest.mark.parametrize("seed", range(3))
def test_each_host_sees_the_same_over_links_of_distinct_latencies(seed: int) -> None:
    """Each message by another way and at another time: both versions at the same nanosecond."""
    link = LinkModel(latency_s=(0.010, 0.150), jitter=0.1, bandwidth_bps=20_000_000)
    baseline, states = traces("baseline", seed, "strict", link), traces("states", seed, "strict", link)
    assert baseline == states
    times = {event.time_ns for host in baseline for event in host if event.kind == "recv_rpc"}
    assert len(times) > 100
