"""What users hand to a node may fail in every way: the node goes on, refuses or drops what it was asked about, and tells once."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pubsub_sim import GossipsubParams, HostOptions, World, min_topic_size, run
from pubsub_sim.errors import OperationRefused, OptionError, UnusableAnswer
from pubsub_sim.foreign import Cancellations
from pubsub_sim.ids import PeerId
from pubsub_sim.node.discovery import SHORTEST_REGISTRATION_S
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.score_params import PeerScoreParams
from pubsub_sim.protocol.tracing import HOOKS, RawTracer
from pubsub_sim.protocol.validation import Validator
from pubsub_sim.world.trace import HostWatcher
from tests.pubsub.worlds import add_node

KINDS = [OSError, ValueError, StopIteration, asyncio.CancelledError]
Fault = Callable[..., Any]


def raising(kind: type[BaseException]) -> Fault:
    def fail(*args: Any) -> Any:
        raise kind("planted")

    return fail


async def _never_awaited(*args: Any) -> bool:
    return True


class Tracer(HostWatcher):
    def __init__(self, fault: Fault) -> None:
        for hook in (*HOOKS, "end"):
            setattr(self, hook, fault)


class Filter:
    def __init__(self, fault: Fault) -> None:
        self.filter_incoming = fault

    def can_subscribe(self, topic: str) -> bool:
        return True


class Blacklist:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def add(self, peer: PeerId, /) -> bool:
        return bool(self._fault(peer))

    def __contains__(self, peer: object, /) -> bool:
        return bool(self._fault(peer))

    def __len__(self) -> int:
        return 1


def _validator(fault: Fault, inline: bool) -> HostOptions:
    return HostOptions(default_validators=(Validator(function=fault, inline=inline),))


def _later(fault: Fault) -> Fault:
    async def judge(*args: Any) -> Any:
        await asyncio.sleep(0.5)
        return fault(*args)

    return judge


# kind of code -> the options of the host that has it, and whether messages of peers arrive there all the same
OPTIONS: dict[str, tuple[Callable[[Fault], HostOptions], bool]] = {
    "tracer": (lambda fault: HostOptions(tracers=(Tracer(fault),)), True),
    "inspection of RPCs": (lambda fault: HostOptions(inspect_rpc=fault), False),
    "message id": (lambda fault: HostOptions(message_id=fault), False),
    "subscription filter": (lambda fault: HostOptions(subscription_filter=Filter(fault)), True),
    "blacklist": (lambda fault: HostOptions(blacklist=Blacklist(fault)), False),
    "validator of (default)": (lambda fault: _validator(fault, inline=True), False),
}


def _play(version: str, options: HostOptions, **named: Any) -> tuple[int, dict[str, int]]:
    """How many of three messages reach a host with these options, and what has failed there; the host lives."""

    async def main() -> tuple[int, dict[str, int]]:
        chosen = lambda number: options if number else HostOptions()  # noqa: E731
        async with World(2, version=version, discovery=False, options=chosen, **named) as world:
            topics = [await node.join("t") for node in world.pubsubs]
            subscription = await topics[1].subscribe()
            await topics[0].subscribe()
            await world.connect_all()
            await world.clock.sleep(3)
            for number in range(3):
                await topics[0].publish(b"%d" % number)
                await world.clock.sleep(1)
            await world.settle()
            assert world.pubsubs[1].failure is None
            assert await world.pubsubs[1].topics() == ["t"]
            return subscription.pending, dict(world.pubsubs[1].foreign_errors)

    return run(main(), clock="virtual")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", OPTIONS)
def test_code_that_raises_ends_no_host(
    version: str, code: str, kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted each time and logged once, with its traceback."""
    make, is_delivered = OPTIONS[code]
    pending, failures = _play(version, make(raising(kind)), sign="none" if code == "blacklist" else "strict")
    assert failures[code] >= 1
    assert set(failures) == {code}
    if code != "inspection of RPCs" and code != "subscription filter" and code != "blacklist":
        assert failures[code] >= 3
    if is_delivered and code == "tracer":
        assert pending == 3
    if not is_delivered:
        assert pending == 0
    (record,) = [one for one in caplog.records if one.name == "pubsub_sim.foreign"]
    assert record.levelno == logging.ERROR
    assert f"host 1: the {code} raised " in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize("code", ["tracer", "inspection of RPCs", "message id", "subscription filter"])
def test_code_that_answers_with_an_awaitable_has_failed(version: str, code: str) -> None:
    """Nobody would await it, and a coroutine is true."""
    make, _ = OPTIONS[code]
    _, failures = _play(version, make(_never_awaited))
    assert failures[code] >= 1


@pytest.mark.parametrize(
    ("code", "answer"),
    [("message id", "text"), ("message id", None), ("subscription filter", [1]), ("subscription filter", None)],
)
def test_an_answer_of_another_type_has_failed(version: str, code: str, answer: object) -> None:
    """It would fail where it is used, which is in the middle of our work."""
    make, _ = OPTIONS[code]
    _, failures = _play(version, make(lambda *_: answer))
    assert failures[code] >= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("is_later", [True, False])
def test_a_validator_that_raises_costs_one_message(
    version: str, kind: type[BaseException], inline: bool, is_later: bool
) -> None:
    """However it is run; the messages before and after it are delivered."""

    def judge(peer: PeerId, message: Any) -> bool:
        if message.data == b"1":
            raise kind("planted")
        return True

    pending, failures = _play(version, _validator(_later(judge) if is_later else judge, inline))
    assert pending == 2
    assert failures == {"validator of (default)": 1}


@pytest.mark.parametrize("inline", [True, False])
def test_a_validator_that_takes_time_may_hide_it(version: str, inline: bool) -> None:
    """What counts is whether its answer is awaitable, and not whether it is a coroutine function."""

    async def judge(message: Any) -> bool:
        await asyncio.sleep(0.5)
        return bool(message.data != b"1")

    pending, failures = _play(version, _validator(lambda peer, message: judge(message), inline))
    assert pending == 2
    assert failures == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_later", [True, False])
def test_a_publisher_is_told_what_its_own_validator_raises(
    version: str, kind: type[BaseException], is_later: bool
) -> None:
    """What would look like a cancellation of the publisher, or cannot leave a coroutine, comes as OperationRefused."""
    fault = raising(kind)
    expected: tuple[type[Exception], ...] = (OperationRefused,)
    if issubclass(kind, Exception):
        expected = (
            (RuntimeError,) if is_later and kind is StopIteration else (kind, OperationRefused)
        )  # as Python has it

    async def main() -> None:
        options = _validator(_later(fault) if is_later else fault, inline=True)
        async with World(1, version=version, discovery=False, options=options) as world:
            topic = await world.pubsubs[0].join("t")
            with pytest.raises(expected):
                await topic.publish(b"x")
            assert world.pubsubs[0].foreign_errors == {}

    run(main(), clock="virtual")


@pytest.mark.parametrize("kind", KINDS)
def test_the_user_who_asks_is_told(version: str, kind: type[BaseException]) -> None:
    """Message ids of publishes, filters of joins, lists of blacklistings, readiness: the caller gets the error, and nothing is counted."""
    fault = raising(kind)
    expected = kind if kind in (OSError, ValueError) else OperationRefused

    class Closed(Filter):
        can_subscribe = staticmethod(fault)

    options = {
        0: HostOptions(message_id=fault),
        1: HostOptions(subscription_filter=Closed(fault)),
        2: HostOptions(blacklist=Blacklist(fault)),
        3: HostOptions(),
    }

    async def main() -> None:
        async with World(4, version=version, discovery=False, options=options.__getitem__) as world:
            nodes = world.pubsubs
            topic = await nodes[0].join("t")
            with pytest.raises(expected):
                await topic.publish(b"x")
            with pytest.raises(expected):
                await nodes[1].join("t")
            with pytest.raises(expected):
                await nodes[2].blacklist(nodes[0].peer_id)
            topic = await nodes[3].join("t", message_id=fault)
            with pytest.raises(expected):
                await topic.publish(b"x")
            assert [dict(node.foreign_errors) for node in nodes] == [{}] * 4

    run(main(), clock="virtual")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("discovery", [True, False])
def test_a_readiness_function_that_raises_costs_its_publish(
    version: str, discovery: bool, kind: type[BaseException]
) -> None:
    """At the first look or later, with whatever it raises; the publisher's task is not taken for cancelled."""
    expected = kind if kind in (OSError, ValueError) else OperationRefused

    async def main() -> None:
        async with World(2, version=version, discovery=discovery) as world:
            topic = await world.pubsubs[0].join("t")
            for looks in range(3):
                left = [False] * looks

                def ready(router: object, name: str, left: list[bool] = left) -> bool:
                    return left.pop() if left else raising(kind)()

                async with asyncio.timeout(10):
                    with pytest.raises(expected):
                        await topic.publish(b"x", ready=ready)
            with pytest.raises(UnusableAnswer):
                await topic.publish(b"x", ready=_never_awaited)  # type: ignore[arg-type] # the mistake
            await topic.publish(b"y")
            await world.settle()

    run(main(), clock="virtual")


@pytest.mark.parametrize("kind", KINDS)
def test_a_watcher_of_a_world_that_raises_costs_nothing(version: str, kind: type[BaseException]) -> None:
    """Also when it is told of the end of a host."""

    async def main() -> None:
        watch = lambda number: Tracer(raising(kind))  # noqa: E731
        async with World(2, version=version, discovery=False, watch=watch) as world:
            topics = [await node.join("t") for node in world.pubsubs]
            subscription = await topics[1].subscribe()
            await world.connect_all()
            await world.settle()
            await topics[0].publish(b"x")
            assert (await subscription.next()).data == b"x"
            failed = world.pubsubs[0].foreign_errors["tracer"]
            world.crash(0)
            assert world.pubsubs[0].foreign_errors["tracer"] == failed + 1
            await world.restart(0)

    run(main(), clock="virtual")


class Flaky(RawTracer):
    """Fails once."""

    has_failed = False

    def validate_message(self, message: Any) -> None:
        if not self.has_failed:
            self.has_failed = True
            raise OSError("log file is full")


def test_a_tracer_that_fails_once_costs_no_message(version: str) -> None:
    """All are delivered, and it is told of all others."""
    pending, failures = _play(version, HostOptions(tracers=(Flaky(),)))
    assert pending == 3
    assert failures == {"tracer": 1}


def test_a_message_of_which_no_id_can_be_made_is_dropped(version: str) -> None:
    """And no other; those who score peers go on too, and a topic's own function is no different."""

    def parse(message: Any) -> bytes:
        return bytes(json.loads(message.data)["id"].encode())

    async def main() -> None:
        score = PeerScoreParams(app_specific_score=lambda peer: 0.0, decay_interval_s=1.0, decay_to_zero=0.01)
        async with World(
            2, version=version, discovery=False, router="gossipsub", params=GossipsubParams(score=score)
        ) as world:
            a, b = world.pubsubs
            topic, judged = await a.join("t"), await b.join("t", message_id=parse)
            subscription = await judged.subscribe()
            await world.connect_all()
            await world.clock.sleep(2)
            for data in (b"not json", b'{"id": 1}', b'{"id": "one"}'):
                await topic.publish(data)
                await world.clock.sleep(1)
            assert (await subscription.next()).id == b"one"
            assert subscription.pending == 0
            assert b.failure is None
            assert b.foreign_errors["message id"] >= 2

    run(main(), clock="virtual")


@pytest.mark.parametrize("fault", [raising(kind) for kind in KINDS] + [lambda peer: float("nan"), lambda peer: "much"])
def test_a_score_that_cannot_be_had_is_zero(version: str, fault: Fault) -> None:
    """Heartbeats go on, and with them the mesh."""

    async def main() -> None:
        score = PeerScoreParams(app_specific_score=fault, decay_interval_s=1.0, decay_to_zero=0.01)
        async with World(
            2, version=version, discovery=False, router="gossipsub", params=GossipsubParams(score=score)
        ) as world:
            for node in world.pubsubs:
                await (await node.join("t")).subscribe()
            await world.connect_all()
            await world.clock.sleep(5)
            assert [len(node.router.mesh["t"]) for node in world.pubsubs] == [1, 1]
            assert all(node.foreign_errors["application's score"] for node in world.pubsubs)

    run(main(), clock="virtual")


@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_filter_that_fails_leaves_the_peer_out(version: str, kind: type[BaseException]) -> None:
    """Out of the mesh, and of the topic's peers for the router."""

    async def main() -> None:
        router = lambda number, ids: GossipSub(peer_filter=raising(kind))  # noqa: E731
        async with World(2, version=version, discovery=False, router=router) as world:
            for node in world.pubsubs:
                await (await node.join("t")).subscribe()
            await world.connect_all()
            await world.clock.sleep(5)
            assert world.pubsubs[0].failure is None
            assert world.pubsubs[0].foreign_errors["peer filter"] >= 1

    run(main(), clock="virtual")


# --- the discovery service -------------------------------------------------------------------------------------------


class Service:
    """A discovery service that answers what it is told to."""

    def __init__(self, advertise: Fault, find_peers: Fault) -> None:
        self._answers = {"advertise": advertise, "find_peers": find_peers}
        self.calls = {"advertise": 0, "find_peers": 0}

    async def advertise(self, namespace: str) -> float:
        return await self._answer("advertise")  # type: ignore[no-any-return] # whatever a test wants

    async def find_peers(self, namespace: str) -> Sequence[PeerId]:
        return await self._answer("find_peers")  # type: ignore[no-any-return] # likewise

    async def _answer(self, name: str) -> Any:
        self.calls[name] += 1
        assert self.calls[name] < 999, "called again and again in no time"
        await asyncio.sleep(0)
        return self._answers[name]()


def _gives(answer: object) -> Fault:
    return lambda: answer


@pytest.mark.parametrize("advertise", [*(raising(kind) for kind in KINDS), *map(_gives, (0.0, -1.0, 1e-9, float("nan"), float("inf"), None, "60", True))])  # fmt: skip
def test_a_service_that_fails_costs_a_pause(version: str, advertise: Fault) -> None:
    """Whatever it raises or answers: it is asked again later, never at once, and readiness that peers bring is still found."""
    service = Service(advertise, _gives(()))
    _discover(version, service)
    assert 1 <= service.calls["advertise"] <= 600 / SHORTEST_REGISTRATION_S + 10


@pytest.mark.parametrize("find_peers", [*(raising(kind) for kind in KINDS), *map(_gives, (None, 7, [None], "text"))])
def test_a_look_up_that_fails_has_found_nobody(version: str, find_peers: Fault) -> None:
    """And the next look is made all the same; a publish that waits for peers goes on."""
    service = Service(_gives(60.0), find_peers)
    _discover(version, service)
    assert service.calls["find_peers"] > 1


def _discover(version: str, service: Service) -> None:
    """A host with this service waits for a peer, which another host brings."""

    async def main() -> None:
        async with World(1, version=version, discovery=False) as world:
            node = add_node(world, version, rendezvous=service)
            topic = await node.join("t")
            await topic.subscribe()
            publish = asyncio.ensure_future(topic.publish(b"x", ready=min_topic_size(1)))
            await world.clock.sleep(5)
            assert not publish.done()
            await (await world.pubsubs[0].join("t")).subscribe()
            await world.network.host(world.peer_id(0)).connect(node.peer_id)
            await world.clock.sleep(600)
            assert publish.done()
            await publish
            assert node.failure is None
            await node.close()

    run(main(), clock="virtual")


# --- whose CancelledError is it? -------------------------------------------------------------------------------------


def test_a_cancellation_of_the_task_is_told_from_a_CancelledError_of_the_code() -> None:
    """Also after an earlier cancellation that was swallowed, and inside a time limit."""
    found: list[bool] = []

    async def foreign(*, raises: bool) -> None:
        if raises:
            raise asyncio.CancelledError
        await asyncio.get_running_loop().create_future()

    async def calls() -> None:
        for raises in (True, False, True):
            ours = Cancellations()
            try:
                async with asyncio.timeout(100):
                    await foreign(raises=raises)
            except asyncio.CancelledError as error:
                found.append(ours.are_ours(error))

    async def main() -> None:
        task = asyncio.ensure_future(calls())
        await asyncio.sleep(1)
        task.cancel()
        await task

    run(main(), clock="virtual")
    assert found == [False, True, False]


@pytest.mark.parametrize("name", ["\udcff", "a\ud800b"])
def test_a_topic_that_cannot_be_written_is_refused_at_once(version: str, name: str) -> None:
    """It would fail in the middle of an announcement; the host goes on."""

    async def main() -> None:
        async with World(1, version=version, discovery=False) as world:
            with pytest.raises(OptionError, match="UTF-8 can encode"):
                await world.pubsubs[0].join(name)
            await (await world.pubsubs[0].join("t")).subscribe()

    run(main(), clock="virtual")
