"""A world of hosts: what it refuses, what an error in it does, how it ends, and that seeds repeat it."""

from __future__ import annotations

import asyncio

import pytest

from pubsub_sim import LinkModel, OptionError, PubSub, World, min_topic_size, run
from pubsub_sim.errors import DialledItself, HostClosed, MessageTooLarge, TraceNotKept
from pubsub_sim.protocol.params import HostParams
from tests.pubsub.worlds import meet, play, run_on


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hosts": 0}, "hosts: expected a whole number of at least 1, got 0"),
        ({"hosts": "many"}, "hosts: expected a whole number of at least 1, got 'many'"),
        ({"version": "third"}, "version: expected one of baseline, states, direct, states-rpc, got 'third'"),
        ({"router": "carrier pigeon"}, "router: expected one of floodsub, randomsub, gossipsub, got 'carrier pigeon'"),
        ({"transport": "post"}, "transport: expected one of memory, tcp, libp2p, got 'post'"),
        ({"sign": True}, "sign: expected one of strict, none, lax, lax-none, got True"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
    ],
)
def test_a_world_names_the_option_it_cannot_use(options: dict[str, object], message: str) -> None:
    """The option, its value and what was expected."""
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        World(**({"hosts": 2} | options))  # type: ignore[arg-type] # what is tested


def test_a_host_names_the_argument_it_cannot_use(version: str, transport: str) -> None:
    """Topic names, payloads, buffers, readiness and sizes."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        topic = await ps.join("t")
        with pytest.raises(OptionError, match="topic: expected a topic name"):
            await ps.join("")
        with pytest.raises(OptionError, match="data: expected bytes, got 'text'"):
            await topic.publish("text")  # type: ignore[arg-type] # what is tested
        with pytest.raises(OptionError, match="buffer: expected a whole number of at least 1, got 0"):
            await topic.subscribe(buffer=0)
        with pytest.raises(OptionError, match="size: expected"):
            min_topic_size(-1)
        with pytest.raises(MessageTooLarge, match="larger than the limit of 1000 bytes"):
            await topic.publish(b"x" * 1000)

    play(version, script, hosts=3, transport=transport, params=HostParams(max_message_bytes=1000))


def test_an_error_in_a_turn_ends_the_host_and_reaches_the_world(version: str, transport: str) -> None:
    """A router that fails is nobody's request: pending calls are refused, and the world says why."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        for topic in topics:
            await topic.subscribe()
        await meet(world)
        world.pubsubs[1].router.publish = None  # type: ignore[method-assign,assignment] # what is tested
        await topics[0].publish(b"x")
        with pytest.raises(TypeError):
            await world.settle()
        with pytest.raises(HostClosed):
            await world.pubsubs[1].topics()

    with pytest.raises(TypeError):
        play(version, script, transport=transport, hosts=2)


def test_a_closed_host_refuses_calls(version: str, transport: str) -> None:
    """Clearly, and without hanging."""

    async def script(world: World) -> None:
        ps: PubSub = world.pubsubs[0]
        await ps.close()
        with pytest.raises(HostClosed):
            await ps.topics()
        with pytest.raises(HostClosed):
            await ps.join("t")

    play(version, script, hosts=3, transport=transport)


def test_nothing_is_left_running_when_a_world_ends(version: str, transport: str) -> None:
    """No task and no socket outlives its world, and no warning of one."""

    async def main() -> set[str]:
        async with World(4, version=version, transport=transport.split()[0]) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            for topic in topics:
                await topic.subscribe()
            await topics[0].publish(b"x", ready=min_topic_size(3))
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}  # type: ignore[arg-type]

    assert run_on(transport, main()) == set()


def test_equal_seeds_give_equal_worlds_and_others_do_not(version: str) -> None:
    """Keys, sequence numbers and the whole trace repeat with the seed."""

    def trace(seed: int) -> list[object]:
        async def script(world: World) -> None:
            topics = [await ps.join("t") for ps in world.pubsubs]
            for topic in topics:
                await topic.subscribe()
            await topics[0].publish(b"x", ready=min_topic_size(2))
            await world.settle()

        return list(play(version, script, hosts=3, seed=seed, discovery=True).trace)

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


@pytest.mark.parametrize("link", [None, LinkModel(latency_s=0.01)], ids=["memory", "simulated"])
def test_a_host_of_a_world_that_dials_itself_is_told_so(version: str, link: LinkModel | None) -> None:
    """And the world goes on, and ends well."""

    async def script(world: World) -> None:
        with pytest.raises(DialledItself, match="that is the dialling host itself"):
            await world.connect(1, 1)
        await world.connect(0, 1)
        assert world.network.connections == 1

    play(version, script, link=link)


def test_a_world_over_sockets_in_which_a_host_dials_itself_ends_well(version: str) -> None:
    async def script(world: World) -> None:
        with pytest.raises(DialledItself):
            await world.connect(0, 0)

    play(version, script, hosts=1, transport="tcp asyncio")


def test_a_world_keeps_no_trace_unless_it_is_asked_to(version: str) -> None:
    """Its hosts have no tracer then, and who looks for the trace is told how to have one."""

    async def main() -> None:
        async with World(2, version=version, discovery=False) as world:
            assert [ps._core.tracer for ps in world.pubsubs] == [None, None]
            with pytest.raises(TraceNotKept, match=r"create it with World\(..., trace=True\)"):
                assert world.trace
        async with World(2, version=version, discovery=False, trace=True) as world:
            await world.connect(0, 1)
            await world.settle()
            assert {event.kind for event in world.trace} == {"add_peer"}

    run(main(), clock="virtual")
    with pytest.raises(OptionError, match="trace: expected true or false, got 100"):
        World(2, trace=100)  # type: ignore[arg-type] # what is tested
