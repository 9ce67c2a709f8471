"""The rules of the inbox, in every way of taking turns: what an error costs, what a cancelled request leaves, what the end does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from pubsub_sim import World, min_topic_size, run
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.errors import HostClosed, OperationRefused, TopicExists, TopicInUse
from pubsub_sim.ids import PeerId
from pubsub_sim.net.clock import clock_of
from pubsub_sim.node.driver import Driver, HostContext
from pubsub_sim.protocol import operations as op
from pubsub_sim.protocol.params import INCOMING_RPCS, HostParams
from pubsub_sim.wire.message import Message, outgoing

PEER = PeerId(b"peer")
TURNS = ("baseline", "states", "states-rpc")
WAYS = (*TURNS, "direct")
MESSAGE = Message(outgoing("t", b"x", author=PEER, seqno=b"1"), PEER, source=PEER, seqno=b"1", topic="t", id=b"1")


class Planted(Exception):
    """What the tests plant."""


class Tables:
    """Stands for a host's core: does nothing, but for what is planted."""

    def __init__(self, name: str = "", function: Callable[..., Any] | None = None) -> None:
        self.local_topics = self.peer_streams = self.announcer = self.validators = self
        self.has_dead_peers = True
        if function is not None:
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **named: None


def driver_of(version: str, core: Any, failures: list[BaseException], on_room: Any = lambda: None) -> Driver:
    return driver_factory(version)(
        HostContext(
            core=core,
            clock=clock_of(asyncio.get_running_loop()),
            params=HostParams(),
            finder=None,
            number=0,
            on_room=on_room,
            on_failure=failures.append,
        )
    )


def raise_in(kind: type[BaseException]) -> Callable[..., Any]:
    def planted(*args: Any, **named: Any) -> Any:
        raise kind

    return planted


def offer(driver: Driver) -> None:
    driver.offer_rpc(PEER, SimpleNamespace())  # type: ignore[arg-type] # this core takes anything


def offer_too_many(driver: Driver) -> None:
    for _ in range(INCOMING_RPCS + 1):
        offer(driver)


FATAL: dict[str, tuple[str, Callable[[Driver], None]]] = {
    "peers pending": ("take_pending_peers", lambda driver: driver.signal(op.PeersPending)),
    "peers dead": ("take_dead_peers", lambda driver: driver.signal(op.PeersDead)),
    "new stream": ("add_stream", lambda driver: driver.submit(op.PeerNewStream(PEER, "", None))),  # type: ignore[arg-type]
    "stream error": ("forget_peer", lambda driver: driver.submit(op.PeerError(PEER, None))),  # type: ignore[arg-type]
    "stream end": ("close_inbound", lambda driver: driver.submit(op.PeerCloseStream(PEER, None))),
    "message": ("publish_message", lambda driver: driver.submit(op.PublishMessage(MESSAGE))),
    "rpc": ("handle_rpc", offer),
}
PARTS = [*FATAL, "heartbeat", "function", "room", "message of an rpc", "rest of an rpc"]
"""Of a turn; `direct` refuses no RPC, so that it never makes room."""


@pytest.mark.parametrize("kind", [Planted, asyncio.CancelledError, StopIteration])
@pytest.mark.parametrize(
    ("version", "part"), [(way, part) for way in WAYS for part in PARTS if (way, part) != ("direct", "room")]
)
def test_an_error_of_nobodys_request_ends_the_host(version: str, part: str, kind: type[BaseException]) -> None:
    """Wherever in a turn it happens: told once, and all who wait or come later are refused."""
    failures: list[BaseException] = []
    planted = raise_in(kind)

    async def main() -> None:
        core, on_room = Tables(), lambda: None
        if part in FATAL:
            name, enter = FATAL[part]
            core = Tables(name, planted)
        elif part == "heartbeat":
            enter = lambda driver: driver.submit(op.Heartbeat(planted))  # noqa: E731
        elif part == "function":
            enter = lambda driver: driver.submit(op.Eval(planted, "planted"))  # noqa: E731
        elif part == "room":
            on_room, enter = planted, offer_too_many
        else:
            enter = offer
            pending = SimpleNamespace(message=MESSAGE, is_last=False, resume=lambda: None)
            core = Tables("handle_rpc", lambda peer, rpc: pending)
            if part == "message of an rpc":
                core.publish_message = planted  # type: ignore[method-assign]
            else:
                pending.resume = planted
        driver = driver_of(version, core, failures, on_room)
        driver.start()
        await asyncio.sleep(0)
        enter(driver)
        waiting = [] if part == "room" else [asyncio.create_task(_ask(driver)) for _ in range(3)]
        async with asyncio.timeout(5):
            while not failures:  # noqa: ASYNC110 - turns, which nobody awaits
                await asyncio.sleep(0)
            answers = await asyncio.gather(*waiting, _ask(driver), return_exceptions=True)
        # a request that came after the failing input may have been answered in an earlier part of the same turn
        assert all(answer == "answered" or isinstance(answer, HostClosed) for answer in answers)
        assert isinstance(answers[-1], HostClosed)
        assert isinstance(answers[-1].__cause__, kind | RuntimeError)
        driver.submit(op.PublishMessage(MESSAGE))
        assert driver.offer_rpc(PEER, SimpleNamespace())  # type: ignore[arg-type] # as above
        driver.signal(op.PeersPending)
        assert driver.is_idle
        assert driver.has_message_room
        await driver.close()

    run(main(), clock="virtual")
    assert len(failures) == 1
    assert isinstance(failures[0], kind | RuntimeError)


async def _ask(driver: Driver) -> str:
    return await driver.ask(op.Eval(lambda: "answered", "test"))


REQUESTS: dict[str, Callable[[], op.Request[Any]]] = {
    "list_peers": lambda: op.GetPeers(None),
    "list_topics": op.GetTopics,
    "add_topic": lambda: op.AddTopic(SimpleNamespace()),  # type: ignore[arg-type]
    "remove_topic": lambda: op.RemoveTopic(SimpleNamespace()),  # type: ignore[arg-type]
    "is_subscribed_or_relayed": lambda: op.AddRelay("t"),
    "announce": lambda: op.AddRelay("t"),
    "join": lambda: op.AddSubscription(SimpleNamespace(topic="t")),  # type: ignore[arg-type]
    "record_subscription": lambda: op.AddSubscription(SimpleNamespace(topic="t")),  # type: ignore[arg-type]
    "add": lambda: op.AddValidator(SimpleNamespace()),  # type: ignore[arg-type]
    "remove": lambda: op.RemoveValidator("t"),
    "blacklist_peer": lambda: op.BlacklistPeer(PEER),
}


@pytest.mark.parametrize("kind", [Planted, TopicInUse, asyncio.CancelledError, StopIteration])
@pytest.mark.parametrize("name", [*REQUESTS, "function"])
@pytest.mark.parametrize("version", WAYS)
def test_an_error_of_a_request_reaches_its_asker(version: str, name: str, kind: type[BaseException]) -> None:
    """And the host goes on. What no future can carry comes as OperationRefused, with the error as its cause."""
    failures: list[BaseException] = []

    def planted(*args: Any, **named: Any) -> Any:
        raise kind("t") if kind is TopicInUse else kind

    async def main() -> None:
        request = op.Eval(planted, "planted") if name == "function" else REQUESTS[name]()
        driver = driver_of(version, Tables(name, planted), failures)
        driver.start()
        async with asyncio.timeout(5):
            for _ in range(2):
                with pytest.raises((kind, OperationRefused)) as caught:
                    await driver.ask(request)
                if kind in (Planted, TopicInUse):
                    assert type(caught.value) is kind
                else:
                    assert type(caught.value) is OperationRefused
                assert await _ask(driver) == "answered"
        await driver.close()

    run(main(), clock="virtual")
    assert failures == []


@pytest.mark.parametrize("version", WAYS)
def test_a_refusal_that_nobody_asked_for_costs_nothing(version: str) -> None:
    """As when what a cancelled request did cannot be undone any more."""
    failures: list[BaseException] = []

    def in_use(topic: object) -> None:
        raise TopicInUse("t")

    async def main() -> None:
        driver = driver_of(version, Tables("remove_topic", in_use), failures)
        driver.start()
        request = op.RemoveTopic(SimpleNamespace())  # type: ignore[arg-type]
        request.reply = op.NOBODY
        driver.submit(request)
        assert await _ask(driver) == "answered"
        await driver.close()

    run(main(), clock="virtual")
    assert failures == []


# --- cancelled requests ----------------------------------------------------------------------------------------------


async def _cancelled_after(rounds: int, call: Any) -> bool:
    """Begin a call and cancel it some rounds of the loop later; whether it had not ended before."""
    task = asyncio.ensure_future(call)
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
        return False
    return True


@pytest.mark.parametrize("version", TURNS)
def test_a_request_whose_asker_has_gone_is_not_taken(version: str) -> None:
    """It waits for its turn and is withdrawn."""
    ran: list[int] = []

    async def main() -> None:
        driver = driver_of(version, Tables(), [])
        driver.start()
        await asyncio.sleep(0)
        asked = asyncio.create_task(driver.ask(op.Eval(lambda: ran.append(1), "test")))
        await asyncio.sleep(0)
        assert not driver.is_idle
        asked.cancel()
        assert await _ask(driver) == "answered"
        assert asked.cancelled()
        assert driver.is_idle
        await driver.close()

    run(main(), clock="virtual")
    assert ran == []


@pytest.mark.parametrize("version", WAYS)
def test_a_cancelled_call_leaves_nothing(version: str) -> None:
    """Join, subscribe, relay, event handler, validator: cancelled at whatever moment, all can be had afterwards, and given up."""

    async def main() -> None:
        async with World(2, version=version) as world:
            ps = world.pubsubs[0]
            was_cancelled = []
            for rounds in range(6):
                if not await _cancelled_after(rounds, ps.join(f"t{rounds}")):
                    continue
                was_cancelled.append(rounds)
                topic = await ps.join(f"t{rounds}")
                for call in (topic.subscribe, topic.relay, topic.events):
                    assert await _cancelled_after(rounds, call())
                assert await _cancelled_after(rounds, ps.register_validator(topic.name, lambda peer, message: True))
                await world.settle()
                assert await ps.topics() == []
                await ps.register_validator(topic.name, lambda peer, message: True)
                await ps.unregister_validator(topic.name)
                await topic.close()  # raises TopicInUse if anything of it were left
            assert was_cancelled[:2] == [0, 1]
            await world.settle()

    run(main(), clock="virtual")


@pytest.mark.parametrize("version", WAYS)
def test_a_cancelled_release_is_carried_out(version: str) -> None:
    """A subscription or relay is given up even if the task that does so is cancelled meanwhile."""

    async def main() -> None:
        async with World(1, version=version) as world:
            topic = await world.pubsubs[0].join("t")
            for rounds in range(1, 4):
                subscription, stop = await topic.subscribe(), await topic.relay()
                await _cancelled_after(rounds, subscription.cancel())
                await _cancelled_after(rounds, stop())
                await world.settle()
                assert await world.pubsubs[0].topics() == []
            await topic.close()

    run(main(), clock="virtual")


@pytest.mark.parametrize("version", WAYS)
def test_a_cancelled_close_leaves_the_topic_open(version: str) -> None:
    """Its handle is registered as before, so that it can be closed again."""

    async def main() -> None:
        async with World(1, version=version) as world:
            ps = world.pubsubs[0]
            topic = await ps.join("t")
            for rounds in range(4):
                if not await _cancelled_after(rounds, topic.close()):
                    break
                await world.settle()
                with pytest.raises(TopicExists):
                    await ps.join("t")
            await topic.close()
            await ps.join("t")

    run(main(), clock="virtual")


# --- a host that has failed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", TURNS)
def test_nobody_waits_for_a_host_that_has_failed(version: str) -> None:
    """Neither for readiness, nor for room, nor for a message; the others go on, and the failed one is at rest."""
    make = driver_factory(version)

    def with_defect(context: HostContext) -> Driver:
        if context.number == 0:
            context.core.blacklist_peer = lambda peer: None  # type: ignore[method-assign]
            context.core.peer_streams.take_dead_peers = raise_in(Planted)  # type: ignore[method-assign]
        return make(context)

    async def main() -> None:
        async with World(3, version=version, make_driver=with_defect) as world:
            ps = world.pubsubs[0]
            topics = [await one.join("t") for one in world.pubsubs]
            subscription = await topics[0].subscribe()
            others = [await topic.subscribe() for topic in topics[1:]]
            await world.settle()
            waiting = [
                asyncio.create_task(topics[0].publish(b"never", ready=min_topic_size(100))),
                asyncio.create_task(subscription.next()),
            ]
            await world.clock.sleep(1)
            await world.disconnect(0, 1)
            async with asyncio.timeout(10):
                answers = await asyncio.gather(*waiting, topics[0].publish(b"x"), return_exceptions=True)
            assert [type(answer) for answer in answers] == [HostClosed] * 3
            assert isinstance(ps.failure, Planted)
            assert ps.is_idle
            await topics[1].publish(b"y", ready=min_topic_size(1))
            assert (await others[1].next()).data == b"y"

    with pytest.raises(Planted):
        run(main(), clock="virtual")


@pytest.mark.parametrize("version", WAYS)
@pytest.mark.parametrize("discovery", [True, False])
def test_an_error_of_a_readiness_function_reaches_the_publisher(version: str, discovery: bool) -> None:
    """At the first look or later; the host goes on."""

    async def main() -> None:
        async with World(2, version=version, discovery=discovery) as world:
            topic = await world.pubsubs[0].join("t")
            for looks in range(3):
                left = [False] * looks

                def ready(router: object, name: str, left: list[bool] = left) -> bool:
                    if left:
                        return left.pop()
                    raise Planted

                async with asyncio.timeout(10):
                    with pytest.raises(Planted):
                        await topic.publish(b"x", ready=ready)
            await topic.publish(b"y")
            await world.settle()

    run(main(), clock="virtual")
