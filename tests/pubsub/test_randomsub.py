"""Randomsub in whole worlds, against both versions: the reference's tests of the router, by their numbers."""

from __future__ import annotations

import asyncio

import pytest

from pubsub_sim import RandomsubParams, World
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.protocol.randomsub import RandomSub
from pubsub_sim.protocol.router import Router
from tests.pubsub.gossip_worlds import connect_some, join_all, play, subscribe


async def receptions(world: World, publishers: range) -> int:
    """One message from each publisher, and what of them has arrived 100 ms later, on all hosts together."""
    topics = await join_all(world)
    subscriptions = await subscribe(topics)
    await world.clock.sleep(1)
    for number in publishers:
        await topics[number].publish(b"%d" % number)
        await world.clock.sleep(0.001)
    await world.clock.sleep(0.1)
    return sum(subscription.pending for subscription in subscriptions)


def test_R01_most_of_a_small_network_gets_each_message(version: str) -> None:
    """Ten messages of ten fully connected hosts: at least 70 of 100 receptions."""

    async def script(world: World) -> None:
        await world.connect_all()
        assert await receptions(world, range(10)) >= 70

    play(version, script, hosts=10, router="randomsub", params=RandomsubParams(size=10))


def test_R02_most_of_a_big_network_gets_each_message() -> None:
    """Ten messages among fifty hosts that dial twelve each: at least 350 of 500 receptions."""

    async def script(world: World) -> None:
        await connect_some(world, range(50), 12)
        assert await receptions(world, range(10)) >= 350

    play("baseline", script, hosts=50, router="randomsub")


def mixed(number: int, ids: object) -> Router:
    return FloodSub() if number < 10 else RandomSub(30)


def test_R03_flooding_hosts_take_part(version: str) -> None:
    """Ten messages among ten flooding and thirty random hosts: at least 280 of 400 receptions."""

    async def script(world: World) -> None:
        await connect_some(world, range(40), 12)
        assert await receptions(world, range(10)) >= 280

    play(version, script, hosts=40, router=mixed)


def test_R04_six_random_peers_are_enough_whatever_is_asked() -> None:
    """And without any there are never enough."""

    async def script(world: World) -> None:
        await connect_some(world, range(40), 12)
        await subscribe(await join_all(world))
        await world.clock.sleep(1)
        for ps in world.pubsubs[10:]:
            assert ps.router.has_enough_peers("foobar", 0)
            assert ps.router.has_enough_peers("foobar", 100)
            assert not ps.router.has_enough_peers("nobody's", 0)

    play("baseline", script, hosts=40, router=mixed)


@pytest.mark.parametrize(("size", "copies"), [(10, 6), (36, 6), (37, 7), (100, 10), (10_000, 29)])
def test_a_message_is_sent_to_the_root_of_the_size_at_least_six_at_most_all(size: int, copies: int) -> None:
    """Rounded up, with thirty hosts that all know each other."""

    async def script(world: World) -> None:
        await world.connect_all()
        topics = await join_all(world)
        await subscribe(topics[1:])
        await world.settle()
        before = sum(event.kind == "send_rpc" and event.host == 0 for event in world.trace)
        await topics[0].publish(b"x")
        await asyncio.sleep(0.01)
        after = sum(event.kind == "send_rpc" and event.host == 0 for event in world.trace)
        assert after - before == copies

    play("baseline", script, hosts=30, router="randomsub", params=RandomsubParams(size=size))
