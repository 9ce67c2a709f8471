"""The end of nodes and worlds: complete, in time, whoever fails or is cancelled, and never in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from pubsub_sim import HostOptions, PubSub, World, run
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.errors import HostClosed, PendingIgnored, TaskCancelled, TasksRemain
from pubsub_sim.net.link import LinkModel
from pubsub_sim.net.memory import MemoryHost
from pubsub_sim.node.driver import Driver, HostContext
from pubsub_sim.node.lifetime import CLOSE_LIMIT_S
from pubsub_sim.protocol.operations import Eval
from pubsub_sim.protocol.pending import Pending
from pubsub_sim.protocol.validation import Validator
from tests.pubsub.worlds import add_node, run_on


class Planted(Exception):
    """What the tests plant."""


def raises(*args: Any, **named: Any) -> Any:
    """Raise it."""
    raise Planted


async def raises_later(*args: Any, **named: Any) -> None:
    """Raise it, awaited."""
    await asyncio.sleep(0)
    raise Planted


async def is_over(world: World) -> None:
    """No host is open, nothing is connected, and no task is left."""
    assert world.network.connections == 0
    for node in world.pubsubs:
        with pytest.raises(HostClosed):
            await node.topics()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def busy(world: World) -> None:
    """Hosts that know each other and have something to do."""
    for node in world.pubsubs:
        await (await node.join("t")).subscribe()
    await world.connect_all()
    await world.settle()


# --- a world whose parts fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "failing"), [("_driver", raises), ("_driver", raises_later), ("_host", raises)])
def test_a_close_that_fails_leaves_no_host_open(version: str, part: str, failing: Callable[..., Any]) -> None:
    """Its error comes out of the world's end, in a group, when everything else has been closed."""

    async def main() -> None:
        world = World(3, version=version)
        await world.__aenter__()
        await busy(world)
        theirs = getattr(world.pubsubs[1], part)
        close = theirs.close

        async def close_and_fail() -> None:
            closing = close()
            if closing is not None:
                await closing
            raise Planted

        theirs.close = close_and_fail if failing is raises_later else failing
        with pytest.raises(ExceptionGroup) as caught:
            await world.__aexit__(None, None, None)
        assert caught.value.subgroup(Planted) is not None
        if failing is raises:  # it was never told to close
            closing = close()
            if closing is not None:
                await closing
        await is_over(world)

    run(main(), clock="virtual")


def test_a_node_that_cannot_be_closed_at_all_keeps_no_other_open(version: str) -> None:
    """Not even if its `close` itself fails before it has done anything."""

    async def main() -> None:
        world = World(4, version=version)
        await world.__aenter__()
        await busy(world)
        close = world.pubsubs[1].close
        world.pubsubs[1].close = raises  # type: ignore[method-assign]
        with pytest.raises(ExceptionGroup) as caught:
            await world.__aexit__(None, None, None)
        assert caught.value.subgroup(Planted) is not None
        for number in (0, 2, 3):
            with pytest.raises(HostClosed):
                await world.pubsubs[number].topics()
        await close()

    run(main(), clock="virtual")


@pytest.mark.parametrize("rounds", range(12))
def test_a_cancelled_end_of_a_world_is_a_whole_one(version: str, rounds: int) -> None:
    """At whatever round it is cancelled; whoever cancelled it sees that it was."""

    async def main() -> None:
        world = World(3, version=version)
        await world.__aenter__()
        await busy(world)
        ending = asyncio.ensure_future(world.__aexit__(None, None, None))
        for _ in range(rounds):
            await asyncio.sleep(0)
        was_over = ending.done()
        ending.cancel()
        await asyncio.wait([ending])
        assert was_over or rounds == 0 or ending.cancelled()
        await world.__aexit__(None, None, None)  # a second time is harmless, and the first if it had not begun
        await is_over(world)

    run(main(), clock="virtual")


@pytest.mark.parametrize("rounds", range(6))
def test_a_world_whose_begin_is_cancelled_is_closed(version: str, rounds: int) -> None:
    """With sockets that takes some rounds."""

    async def main() -> None:
        world = World(3, version=version, transport="tcp")
        begin = asyncio.ensure_future(world.__aenter__())
        for _ in range(rounds):
            await asyncio.sleep(0)
        begin.cancel()
        await asyncio.wait([begin])
        if begin.cancelled():
            if world.pubsubs:
                await is_over(world)
        else:
            await world.__aexit__(None, None, None)

    run_on("tcp asyncio", main())


@pytest.mark.parametrize("is_inline", [True, False])
def test_a_validator_that_swallows_its_cancellation_holds_no_close_up(version: str, is_inline: bool) -> None:
    """The close ends at its limit and names the task; the other hosts, and the loop, end as ever."""

    async def deaf(peer: bytes, message: object) -> bool:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    async def main() -> None:
        options = lambda number: HostOptions(  # noqa: E731
            default_validators=(Validator(function=deaf, inline=is_inline),) if number else ()
        )
        world = World(2, version=version, discovery=False, options=options)
        await world.__aenter__()
        topics = [await node.join("t") for node in world.pubsubs]
        await topics[1].subscribe()
        await world.connect_all()
        await world.settle()
        await topics[0].publish(b"x")
        await world.clock.sleep(1)
        begin_ns = world.clock.now_ns()
        with pytest.raises(ExceptionGroup) as caught:
            await world.__aexit__(None, None, None)
        assert world.clock.now_ns() == begin_ns + round(CLOSE_LIMIT_S * 1e9)
        remaining = caught.value
        while isinstance(remaining, ExceptionGroup):
            (remaining,) = remaining.exceptions  # type: ignore[assignment]
        assert isinstance(remaining, TasksRemain)
        assert remaining.owner == "host 1"
        assert remaining.tasks == ["validation worker" if is_inline else "validators"]
        await is_over(world)

    run(main(), clock="virtual")


@pytest.mark.parametrize("rejects", [True, False])
def test_a_validator_that_swallows_the_end_by_another_ones_rejection_holds_no_message_up(
    version: str, rejects: bool
) -> None:
    """The first rejection is the verdict; what does not end is left to the close."""

    async def deaf(peer: bytes, message: object) -> bool:
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(100)
        return True

    async def main() -> None:
        functions = (deaf, lambda peer, message: not rejects)
        validators = tuple(Validator(function=function) for function in functions)
        options = lambda number: HostOptions(default_validators=validators if number else ())  # noqa: E731
        world = World(2, version=version, discovery=False, options=options)
        with suppress(ExceptionGroup):
            async with world:
                topics = [await node.join("t") for node in world.pubsubs]
                await topics[1].subscribe()
                await world.connect_all()
                await world.settle()
                await topics[0].publish(b"x")
                await world.clock.sleep(1)
                assert any(event.kind == "reject_message" for event in world.trace) == rejects
        await is_over(world)

    run(main(), clock="virtual")


# --- hosts that crash and come back ----------------------------------------------------------------------------------


def test_a_crash_whose_close_fails_is_told_at_the_end_and_the_host_comes_back(version: str) -> None:
    """The error is not that of who restarts the host."""

    async def main() -> None:
        world = World(2, version=version)
        await world.__aenter__()
        await busy(world)
        world.pubsubs[0]._core.local_topics.end = raises  # type: ignore[method-assign]
        world.crash(0)
        node = await world.restart(0)
        await (await node.join("t")).subscribe()
        await world.connect_all()
        await world.settle()
        assert await world.pubsubs[1].list_peers("t") == [node.peer_id]
        with pytest.raises(ExceptionGroup) as caught:
            await world.__aexit__(None, None, None)
        assert caught.value.subgroup(Planted) is not None
        await is_over(world)

    run(main(), clock="virtual")


@pytest.mark.parametrize("rounds", range(6))
def test_a_cancelled_restart_can_be_made_again_or_has_been_made(version: str, rounds: int) -> None:
    """A host is down or up, and never half up."""

    async def main() -> None:
        async with World(2, version=version) as world:
            await busy(world)
            world.crash(0)
            restart = asyncio.ensure_future(world.restart(0))
            for _ in range(rounds):
                await asyncio.sleep(0)
            restart.cancel()
            await asyncio.wait([restart])
            if 0 in world._down:
                await world.restart(0)
            await busy_again(world)

    async def busy_again(world: World) -> None:
        await (await world.pubsubs[0].join("t")).subscribe()
        await world.connect_all()
        await world.settle()
        assert await world.pubsubs[1].list_peers("t") == [world.peer_id(0)]

    run(main(), clock="virtual")


def test_options_that_fail_at_a_restart_leave_the_host_down(version: str) -> None:
    """Whoever restarts it is told, and can try again."""
    lives: list[int] = []

    def options(number: int) -> HostOptions:
        lives.append(number)
        if len(lives) == 2:
            raise Planted
        return HostOptions()

    async def main() -> None:
        async with World(1, version=version, options=options) as world:
            world.crash(0)
            with pytest.raises(Planted):
                await world.restart(0)
            node = await world.restart(0)
            await (await node.join("t")).subscribe()

    run(main(), clock="virtual")


# --- errors of a node's own tasks ------------------------------------------------------------------------------------


def _break_opener(node: PubSub) -> None:
    node._host.open_stream = raises_later  # type: ignore[method-assign]


def _break_router_dial(node: PubSub) -> None:
    node._host.connect = raises_later  # type: ignore[method-assign]
    node._core.dial(b"somebody")  # type: ignore[arg-type]


def _break_validation(node: PubSub) -> None:
    node._core.check = raises  # type: ignore[method-assign]


def _break_conclusion(node: PubSub) -> None:
    node._core.reject = raises  # type: ignore[method-assign]


def _break_sweep(node: PubSub) -> None:
    node._core.clean_up = raises  # type: ignore[method-assign]


BREAKS: dict[str, Callable[[PubSub], None]] = {
    "opening of a stream": _break_opener,
    "dial for the router": _break_router_dial,
    "check of a message": _break_validation,
    "refusal after a validator": _break_conclusion,
    "sweep": _break_sweep,
}


@pytest.mark.parametrize("part", BREAKS)
def test_an_error_of_a_task_or_a_timer_ends_its_node_and_no_other(version: str, part: str) -> None:
    """Whoever waits for that node is told, the world reports the error, and both versions pay the same."""

    async def judge(peer: bytes, message: object) -> bool:
        await asyncio.sleep(0.1)
        return False

    async def main() -> list[object]:
        async with World(3, version=version, discovery=False) as world:
            topics = [await node.join("t") for node in world.pubsubs]
            subscriptions = [await topic.subscribe() for topic in topics]
            if part == "refusal after a validator":
                await world.pubsubs[0].register_validator("t", judge)
            waiting = asyncio.ensure_future(subscriptions[0].next())
            BREAKS[part](world.pubsubs[0])
            await world.connect_all()
            await world.clock.sleep(1)
            await topics[1].publish(b"x")
            await world.clock.sleep(200)
            (told,) = await asyncio.gather(waiting, return_exceptions=True)
            assert isinstance(told, HostClosed)
            assert isinstance(told.__cause__, Planted)
            assert [type(node.failure) for node in world.pubsubs] == [Planted, type(None), type(None)]
            assert world.pubsubs[0].is_idle
            with pytest.raises(HostClosed):
                await topics[0].publish(b"y")
            assert (await subscriptions[2].next()).data == b"x"
        return []

    with pytest.raises(Planted):
        run(main(), clock="virtual")


@pytest.mark.parametrize("task", ["pubsub loop 0", "discovery loop", "discovery poll", "advertise t"])
def test_a_task_of_a_node_that_somebody_cancels_ends_the_node(version: str, task: str) -> None:
    """Else its work would not be done any more, and nobody would know."""
    if version != "baseline" and task in ("pubsub loop 0", "discovery loop"):
        pytest.skip("there is no such task")

    async def main() -> None:
        async with World(1, version=version) as world:
            await (await world.pubsubs[0].join("t")).subscribe()
            await world.clock.sleep(1)
            (theirs,) = [one for one in asyncio.all_tasks() if one.get_name() == task]
            theirs.cancel()
            await world.clock.sleep(1)
            with pytest.raises(HostClosed):
                await world.pubsubs[0].topics()

    with pytest.raises(TaskCancelled, match=task):
        run(main(), clock="virtual")


def test_a_reader_that_fails_ends_its_node_and_not_the_network(version: str) -> None:
    """A driver that raises where it takes an RPC in; frames for others, and later ones, are read."""
    make = driver_factory(version)

    def with_defect(context: HostContext) -> Driver:
        driver = make(context)
        offer, offered = driver.offer_rpc, []

        def offer_once(peer: Any, rpc: Any) -> bool:
            offered.append(rpc)
            return offer(peer, rpc) if len(offered) > 1 else bool(raises())

        if context.number == 0:
            driver.offer_rpc = offer_once  # type: ignore[method-assign]
        return driver

    async def main() -> None:
        async with World(3, version=version, discovery=False, make_driver=with_defect) as world:
            topics = [await node.join("t") for node in world.pubsubs]
            subscription = await topics[2].subscribe()
            await world.connect_all()
            await world.clock.sleep(1)
            await topics[1].publish(b"x")
            assert (await subscription.next()).data == b"x"
            host = world.network.host(world.peer_id(0))
            assert isinstance(host, MemoryHost)
            assert not host.arrivals

    with pytest.raises(Planted):
        run(main(), clock="virtual")


def test_failures_of_several_hosts_come_together(version: str) -> None:
    """None of them is lost."""
    make = driver_factory(version)

    async def main() -> None:
        async with World(3, version=version, discovery=False, make_driver=make) as world:
            for node in world.pubsubs[:2]:
                node._driver.submit(Eval(raises, "planted"))
            await world.clock.sleep(1)

    with pytest.raises(ExceptionGroup) as caught:
        run(main(), clock="virtual")
    assert [type(error) for error in caught.value.exceptions] == [Planted, Planted]


# --- drivers that forget ---------------------------------------------------------------------------------------------


def _ignoring(pending: Pending | None) -> None:
    """Take no notice."""


def _only_resuming(pending: Pending | None) -> None:
    """Read on without publishing."""
    while pending is not None:
        pending = pending.resume()


@pytest.mark.parametrize("deal", [_ignoring, _only_resuming])
@pytest.mark.parametrize("messages", [1, 2])
def test_a_driver_that_takes_no_notice_of_a_pending_message_is_found_out(
    messages: int, deal: Callable[[Pending | None], None]
) -> None:
    """It would lose unsigned messages without a word: its host ends by an error, at the next one or at the end."""
    make = driver_factory("baseline")

    def forgetful(context: HostContext) -> Driver:
        handle = context.core.handle_rpc

        def forget(peer: Any, rpc: Any) -> Pending | None:
            deal(handle(peer, rpc))
            return None

        context.core.handle_rpc = forget  # type: ignore[method-assign]
        return make(context)

    async def main() -> None:
        async with World(2, version="baseline", discovery=False, sign="none", make_driver=forgetful) as world:
            topics = [await node.join("t") for node in world.pubsubs]
            await topics[1].subscribe()
            await world.connect_all()
            await world.clock.sleep(1)
            for number in range(messages):
                await topics[0].publish(b"%d" % number)
                await world.clock.sleep(1)

    with pytest.raises((PendingIgnored, ExceptionGroup)) as caught:
        run(main(), clock="virtual")
    assert isinstance(caught.value, PendingIgnored) or caught.value.subgroup(PendingIgnored) is not None


# --- the end of a node's service calls -------------------------------------------------------------------------------


def test_a_discovery_service_that_swallows_its_cancellation_holds_no_close_up(version: str) -> None:
    """Its tasks are named, whichever version runs them."""

    class Deaf:
        async def advertise(self, namespace: str) -> float:
            while True:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(3600)

        async def find_peers(self, namespace: str) -> tuple[()]:
            return ()

    async def main() -> None:
        async with World(1, version=version, discovery=False, link=LinkModel()) as world:
            node = add_node(world, version, rendezvous=Deaf())
            await (await node.join("t")).subscribe()
            await world.clock.sleep(1)
            with pytest.raises(ExceptionGroup) as caught:
                await node.close()
            world.pubsubs.remove(node)
            found = caught.value.subgroup(TasksRemain)
            assert found is not None
            assert "advertise t" in str(found.exceptions[0])

    run(main(), clock="virtual")
