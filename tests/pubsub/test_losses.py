"""What full queues lose is counted, without a tracer; what is not lost costs nothing and counts nothing."""

from __future__ import annotations

from pubsub_sim import HostParams, LinkModel, World, run
from pubsub_sim.node.view import Losses

SLOW = LinkModel(latency_s=0.001, bandwidth_bps=100_000)


def test_an_idle_host_has_lost_nothing(version: str) -> None:
    """And remembers what it has read, and nothing else."""

    async def main() -> None:
        async with World(2, version=version, discovery=False) as world:
            await world.connect(0, 1)
            topic, other = [await pubsub.join("news") for pubsub in world.pubsubs]
            subscription = await other.subscribe()
            await world.settle()
            message_id = await topic.publish(b"hello")
            await subscription.next()
            assert [pubsub.losses for pubsub in world.pubsubs] == [Losses(0, 0)] * 2
            assert subscription.dropped == 0
            assert all(pubsub.view.has_seen(message_id) for pubsub in world.pubsubs)
            assert not world.pubsubs[1].view.has_seen(b"another")

    run(main(), clock="virtual")


def test_what_a_full_outbound_queue_loses_is_counted_by_its_sender(version: str) -> None:
    """Frames beyond the stream's window and the queue; the receiver has never seen those."""

    async def main() -> None:
        params = HostParams(outbound_queue_size=1, subscription_buffer=1000)
        async with World(2, version=version, discovery=False, link=SLOW, params=params, sign="none") as world:
            topic, other = [await pubsub.join("news") for pubsub in world.pubsubs]
            subscription = await other.subscribe()
            await world.settle()
            await world.connect(0, 1)
            await world.settle()
            ids = [await topic.publish(b"%d" % number) for number in range(60)]
            await world.settle()
            lost = world.pubsubs[0].losses.frames
            assert 0 < lost == 60 - subscription.pending
            assert sum(not world.pubsubs[1].view.has_seen(message_id) for message_id in ids) == lost
            assert world.pubsubs[1].losses == Losses(0, 0)

    run(main(), clock="virtual")


def test_what_a_full_validation_queue_loses_is_counted_by_its_receiver(version: str) -> None:
    """Signed messages that come faster than they are checked."""

    async def main() -> None:
        params = HostParams(validate_queue_size=1, subscription_buffer=1000)
        async with World(2, version=version, discovery=False, link=LinkModel(latency_s=0.001), params=params) as world:
            await world.connect(0, 1)
            topic, other = [await pubsub.join("news") for pubsub in world.pubsubs]
            subscription = await other.subscribe()
            await world.settle()
            for number in range(10):
                await topic.publish(b"%d" % number)
            await world.settle()
            refused = world.pubsubs[1].losses.messages
            assert 0 < refused == 10 - subscription.pending

    run(main(), clock="virtual")


def test_what_a_full_subscription_drops_is_counted_by_itself(version: str) -> None:
    """Each subscription on its own."""

    async def main() -> None:
        async with World(1, version=version, discovery=False) as world:
            topic = await world.pubsubs[0].join("news")
            narrow, wide = await topic.subscribe(buffer=2), await topic.subscribe(buffer=9)
            for number in range(5):
                await topic.publish(b"%d" % number)
            await world.settle()
            assert (narrow.dropped, narrow.pending) == (3, 2)
            assert (wide.dropped, wide.pending) == (0, 5)

    run(main(), clock="virtual")
