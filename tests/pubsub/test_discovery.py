"""Discovery: the reference's test, and the rules of looking, dialling, registering and waiting."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import nullcontext

import pytest

from pubsub_sim import HostParams, PubSub, World, min_topic_size, run
from pubsub_sim.errors import DialError, HostClosed
from pubsub_sim.ids import PeerId
from pubsub_sim.net.rendezvous import RendezvousClient, RendezvousServer
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.scenarios.simple_discovery import SimpleDiscovery, simple_discovery
from tests.pubsub.worlds import add_node, handle, key_of, play, pub, receive, sub


class Service:
    """A discovery service that counts, and fails if told to. Implements Rendezvous."""

    def __init__(self, peers: Sequence[PeerId] = (), interval_s: float = 60.0) -> None:
        self.peers = list(peers)
        self.interval_s = interval_s
        self.is_failing = False
        self.registered: list[str] = []
        self.asked: list[str] = []

    async def advertise(self, namespace: str) -> float:
        self.registered.append(namespace)
        if self.is_failing:
            raise DialError("service", "down")
        return self.interval_s

    async def find_peers(self, namespace: str) -> Sequence[PeerId]:
        self.asked.append(namespace)
        if self.is_failing:
            raise DialError("service", "down")
        return self.peers


@pytest.mark.parametrize("hosts", [5, 20])
def test_D01_simple_discovery(version: str, hosts: int) -> None:
    """The measured scenario: every host receives every one of 100 messages."""
    given = SimpleDiscovery(version=version, hosts=hosts, messages=100 if hosts == 20 else 20)
    outcome = run(simple_discovery(given, lambda name: nullcontext()), clock="virtual")
    assert outcome.deliveries == hosts * (given.messages + 1)
    assert outcome.connections == hosts * (hosts - 1) // 2


def test_D02_two_partitions_become_one_when_one_hears_of_the_other(version: str) -> None:
    """Two times four gossiping hosts with a server each, until the second four are registered with the first server."""

    async def script(world: World) -> None:
        servers = RendezvousServer(), RendezvousServer()
        partitions = [
            [gossiping(world, version, server, f"{number} of {place}") for number in range(4)]
            for place, server in enumerate(servers)
        ]
        nodes = [ps for partition in partitions for ps in partition]
        subscribed = [await sub(ps) for ps in nodes]
        await world.clock.sleep(3)
        assert [len(ps.router.mesh["foobar"]) for ps in nodes] == [3] * 8
        for ps in partitions[1]:
            servers[0].register("floodsub:foobar", ps.peer_id)
        await world.clock.sleep(5)
        rng = random.Random(2)
        for number in range(100):
            data = b"%d" % number
            await pub(rng.choice(nodes), data, ready=min_topic_size(4))
            for subscription in subscribed:
                await receive(subscription, data)

    play(version, script, hosts=1, trace=False)


def gossiping(world: World, version: str, server: RendezvousServer, name: str) -> PubSub:
    client = RendezvousClient(server, key_of(name).peer_id, limit=8)
    return add_node(world, version, router=GossipSub(), rendezvous=client, name=name)


def test_a_topic_is_registered_again_when_it_is_due_and_until_the_last_interest_ends(version: str) -> None:
    """Subscriptions and relays count; a topic only joined is not registered."""

    async def script(world: World) -> None:
        service = Service(interval_s=60)
        ps = add_node(world, version, rendezvous=service)
        topic = await handle(ps, "t")
        await world.clock.sleep(5)
        assert service.registered == []
        subscription = await topic.subscribe()
        stop = await topic.relay()
        await world.clock.sleep(130)
        assert service.registered == ["floodsub:t"] * 3
        await subscription.cancel()
        await world.clock.sleep(60)
        assert len(service.registered) == 4
        await stop()
        await world.clock.sleep(600)
        assert len(service.registered) == 4

    play(version, script, hosts=1)


def test_a_failed_registration_is_tried_again_after_two_minutes(version: str) -> None:
    """The reference's pause."""

    async def script(world: World) -> None:
        service = Service(interval_s=1000)
        service.is_failing = True
        await sub(add_node(world, version, rendezvous=service), "t")
        await world.clock.sleep(119)
        assert len(service.registered) == 1
        service.is_failing = False
        await world.clock.sleep(2)
        assert len(service.registered) == 2

    play(version, script, hosts=1)


def test_joined_topics_are_looked_for_once_a_second_until_they_have_enough_peers(version: str) -> None:
    """Subscribed or not; a failing service does not stop that."""

    async def script(world: World) -> None:
        service = Service()
        service.is_failing = True
        ps = add_node(world, version, rendezvous=service)
        await handle(ps, "t")
        await world.clock.sleep(3.5)
        assert service.asked == ["floodsub:t"] * 4
        service.is_failing = False
        readers = [add_node(world, version) for _ in range(5)]
        for reader in readers:
            await sub(reader, "t")
        service.peers = [reader.peer_id for reader in readers]
        await world.clock.sleep(2)
        assert len(await ps.list_peers("t")) == 5
        asked = len(service.asked)
        await world.clock.sleep(10)
        assert len(service.asked) == asked

    play(version, script, hosts=1)


def test_a_look_that_takes_too_long_is_given_up(version: str) -> None:
    """After 10 s; the next one is made."""

    class Slow(Service):
        async def find_peers(self, namespace: str) -> Sequence[PeerId]:
            self.asked.append(namespace)
            await asyncio.sleep(1000)
            return ()

    async def script(world: World) -> None:
        service = Slow()
        await handle(add_node(world, version, rendezvous=service), "t")
        await world.clock.sleep(9.5)
        assert len(service.asked) == 1
        await world.clock.sleep(2)
        assert len(service.asked) == 2

    async def main() -> None:
        async with World(1, version=version, discovery=False) as world:
            await script(world)

    run(main(), clock="virtual")


def test_an_unreachable_peer_is_dialled_once_in_ten_seconds(version: str) -> None:
    """However often it is found."""

    async def script(world: World) -> None:
        service = Service([key_of("nowhere").peer_id])
        ps = add_node(world, version, rendezvous=service)
        dials = 0
        connect = ps._host.connect

        async def counted(peer: PeerId) -> None:
            nonlocal dials
            dials += 1
            await connect(peer)

        ps._host.connect = counted  # type: ignore[method-assign]
        await handle(ps, "t")
        await world.clock.sleep(9.5)
        assert (dials, len(service.asked)) == (1, 10)
        await world.clock.sleep(2)
        assert dials == 2

    play(version, script, hosts=1)


def test_several_topics_wait_for_readiness_at_once(version: str) -> None:
    """Each is published as soon as its own topic is ready, whichever was asked for first."""

    async def script(world: World) -> None:
        publisher, *others = world.pubsubs
        names = [f"t{number}" for number in range(8)]
        publishing = [
            asyncio.create_task((await handle(publisher, name)).publish(name.encode(), ready=min_topic_size(1)))
            for name in names
        ]
        await world.clock.sleep(1.05)
        assert not any(task.done() for task in publishing)
        readers = {name: await sub(others[number % 2], name) for number, name in reversed(list(enumerate(names)))}
        for name in names:
            await receive(readers[name], name.encode())
        await asyncio.gather(*publishing)

    play(version, script, hosts=3, discovery=True)


def test_a_host_that_closes_ends_its_waits_for_readiness(version: str) -> None:
    """The publisher is told that the host is closed."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        publishing = asyncio.create_task((await handle(ps, "t")).publish(b"x", ready=min_topic_size(1)))
        await world.clock.sleep(1)
        await ps.close()
        with pytest.raises(HostClosed):
            await publishing

    play(version, script, discovery=True)


def test_a_burst_of_looks_is_bounded_and_drops_none_that_matters(version: str) -> None:
    """More topics than the request queue holds are found all the same, by the poll."""

    async def script(world: World) -> None:
        a, b = world.pubsubs
        for number in range(80):
            await sub(b, f"t{number}")
        await world.settle()
        await asyncio.gather(
            *[(await handle(a, f"t{number}")).publish(b"x", ready=min_topic_size(1)) for number in range(80)]
        )
        assert len(await a.list_peers("t79")) == 1

    play(version, script, discovery=True, params=HostParams())


def test_without_discovery_a_publish_waits_in_steps_of_200_ms(version: str) -> None:
    """The readiness poll of the reference, counted as fixed waits."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        await topics[1].subscribe()
        publishing = asyncio.create_task(topics[0].publish(b"x", ready=min_topic_size(1)))
        await world.clock.sleep(0.5)
        await world.connect(0, 1)
        await publishing
        assert world.clock.now_ns() == 600_000_000
        assert (world.clock.waits, world.clock.waited_ns) == (3, 600_000_000)

    play(version, script, hosts=3)


def test_with_discovery_hosts_find_each_other_and_a_publish_waits_in_steps_of_100_ms(version: str) -> None:
    """Subscribers register, the publisher finds and dials them, and checks again after 100 ms."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics[1:]]
        await world.settle()
        await topics[0].publish(b"x", ready=min_topic_size(4))
        for subscription in subscriptions:
            assert (await subscription.next()).data == b"x"
        assert world.clock.waits == 1
        assert world.clock.now_ns() == 100_000_000

    play(version, script, hosts=5, discovery=True)


def test_two_publishes_of_one_topic_each_wait_for_their_own_readiness(version: str) -> None:
    """Who asks for more waits longer, whoever came first."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscription = await topics[1].subscribe()
        await world.settle()
        patient = asyncio.create_task(topics[0].publish(b"patient", ready=min_topic_size(2)))
        eager = asyncio.create_task(topics[0].publish(b"eager", ready=min_topic_size(1)))
        await world.clock.sleep(5)
        assert eager.done()
        assert not patient.done()
        await topics[2].subscribe()
        await world.clock.sleep(30)
        assert patient.done()
        assert [(await subscription.next()).data for _ in range(2)] == [b"eager", b"patient"]

    play(version, script, hosts=3, discovery=True)


def test_an_abandoned_publish_stops_looking(version: str) -> None:
    """Cancelling a publish that waits for readiness ends its bootstrap; another one still works."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        await world.settle()
        waiting = asyncio.create_task(topics[0].publish(b"never", ready=min_topic_size(1)))
        await world.clock.sleep(1.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        waits = world.clock.waits
        await world.clock.sleep(5)
        assert world.clock.waits == waits
        subscription = await topics[1].subscribe()
        await topics[0].publish(b"x", ready=min_topic_size(1))
        assert (await subscription.next()).data == b"x"

    play(version, script, hosts=3, discovery=True)
