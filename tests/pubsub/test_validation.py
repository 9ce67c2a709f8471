"""Validators and the validation queue: the reference's validation tests, with their ids."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import numpy as np
import pytest

from pubsub_sim import HostOptions, HostParams, MessageRejected, OptionError, World
from pubsub_sim.errors import NoValidator, UnusableAnswer, ValidatorExists
from pubsub_sim.ids import PeerId
from pubsub_sim.node.topic import Subscription
from pubsub_sim.protocol.seqno_validator import SeqnoValidator
from pubsub_sim.protocol.subscription_filter import AllowlistFilter
from pubsub_sim.protocol.validation import Validator, Verdict
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import RPC
from tests.pubsub.worlds import (
    FakePeer,
    connect,
    events_of,
    handle,
    meet,
    never,
    play,
    pub,
    receive,
    rounds,
    sparse,
    sub,
    sub_all,
    subscriptions,
)


def legal(peer: PeerId, message: Message) -> bool:
    return b"illegal" not in message.data


def verdict(answer: object, after_s: float = 0.0, calls: list[object] | None = None) -> object:
    """A validator that takes its time and gives this answer."""

    async def validate(peer: PeerId, message: Message) -> object:
        await asyncio.sleep(after_s)
        if calls is not None:
            calls.append(answer)
        return answer

    return validate


async def reader_of(world: World) -> Subscription:
    """Host 1 reads what host 0 publishes."""
    await connect(world, (0, 1))
    subscription = await sub(world.pubsubs[1])
    await world.settle()
    return subscription


def test_V01_register_unregister(version: str, transport: str) -> None:
    """A validator is registered once and unregistered once."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await ps.register_validator("foo", legal)
        with pytest.raises(ValidatorExists):
            await ps.register_validator("foo", legal)
        await ps.unregister_validator("foo")
        with pytest.raises(NoValidator):
            await ps.unregister_validator("foo")

    play(version, script, hosts=1, transport=transport)


def test_V02_register_validator_ex(version: str) -> None:
    """Functions of any kind are validators; anything else, and unusable options, are refused with the topic's name."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await ps.register_validator("plain", legal)
        await ps.register_validator("coroutine", verdict(Verdict.ACCEPT))
        with pytest.raises(OptionError, match="validator: expected a function for topic foo, got 'foo'"):
            await ps.register_validator("foo", "foo")
        with pytest.raises(OptionError, match="timeout_s: expected"):
            await ps.register_validator("foo", legal, timeout_s=0)
        with pytest.raises(OptionError, match="concurrency: expected"):
            await ps.register_validator("foo", legal, concurrency=0)
        with pytest.raises(OptionError, match=r"a function for topic \(default\)"):
            Validator(function=3)

    play(version, script, hosts=1)


def test_V03_validate(version: str) -> None:
    """A received message is delivered if the validator says so."""

    async def script(world: World) -> None:
        subscription = await reader_of(world)
        await world.pubsubs[1].register_validator("foobar", legal)
        for data in (b"this is a legal message", b"there also is nothing", b"something illegal", b"like, this"):
            await pub(world.pubsubs[0], data)
            if b"illegal" in data:
                await never(world, subscription, 0.333)
            else:
                await receive(subscription, data)

    play(version, script)


def test_V04_validate_2(version: str, transport: str) -> None:
    """A publisher is told of exactly the message its own validator refuses."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await ps.register_validator("foobar", legal)
        for data in (b"this is a legal message", b"there also is nothing", b"something illegal", b"like, this"):
            if b"illegal" in data:
                with pytest.raises(MessageRejected, match="validation failed"):
                    await pub(ps, data)
            else:
                await pub(ps, data)

    play(version, script, hosts=1, transport=transport)


@pytest.mark.parametrize("concurrency", [10, 2])
def test_V05_validate_overload(version: str, concurrency: int) -> None:
    """Of one message more than may be validated at once, the last is dropped, and no other."""

    async def script(world: World) -> None:
        subscription = await reader_of(world)
        release = asyncio.Event()

        async def block(peer: PeerId, message: Message) -> bool:
            await release.wait()
            return True

        await world.pubsubs[1].register_validator("foobar", block, concurrency=concurrency)
        for number in range(concurrency + 1):
            await pub(world.pubsubs[0], b"%d" % number)
        await world.clock.sleep(0.5)
        release.set()
        for number in range(concurrency):
            await receive(subscription, b"%d" % number)
        await never(world, subscription, 0.5)
        assert events_of(world, "reject_message", host=1) == ["validation throttled"]

    play(version, script)


def test_V06_assorted_options(version: str) -> None:
    """Short queues, few workers, a time-out and an inline validator do not get in the way."""

    async def script(world: World) -> None:
        for ps in world.pubsubs:
            await ps.register_validator("test1", verdict(True, 0.001), timeout_s=0.1)
            await ps.register_validator("test2", lambda peer, message: True, inline=True)
        by_topic = {topic: await sub_all(world.pubsubs, topic) for topic in ("test1", "test2")}
        await sparse(world)
        for topic, subscribed in by_topic.items():
            await rounds(world.pubsubs, subscribed, 10, topic)

    params = HostParams(validate_queue_size=10, validate_throttle=10, validate_workers=10)
    play(version, script, hosts=10, params=params)


def numbered(number: int) -> HostOptions:
    return HostOptions(default_validators=(Validator(function=SeqnoValidator()),))


@pytest.mark.parametrize("ttl_s", [60.0, 1e-9], ids=["V07 1min", "V08 1ns"])
def test_V07_V08_basic_seqno_validator(version: str, ttl_s: float) -> None:
    """Messages in order pass the sequence-number validator at every host, however short ids are remembered."""

    async def script(world: World) -> None:
        subscribed = await sub_all(world.pubsubs)
        await sparse(world)
        await rounds(world.pubsubs, subscribed, 100)

    play(version, script, hosts=20, options=numbered, params=HostParams(seen_ttl_s=ttl_s), trace=False)


def test_V09_seqno_validator_replay(version: str) -> None:
    """An actor that sends every message again and again, to whom it likes, has none of them delivered twice."""

    async def script(world: World) -> None:
        rng = random.Random(4)
        replayer = FakePeer(world, "replayer")
        subscribed = await sub_all(world.pubsubs)
        await sparse(world)
        streams = []
        for ps in world.pubsubs:
            await replayer.connect(ps)
            streams.append(await replayer.open(ps))
            streams[-1].write(subscriptions("foobar"))
        await world.settle()
        for number in range(10):
            await pub(rng.choice(world.pubsubs), b"%d" % number)
            for subscription in subscribed:
                await receive(subscription, b"%d" % number)
            await world.clock.sleep(61)  # the sweep forgets what the cache saw
        seen = [message for rpc in replayer.rpcs for message in rpc.publish]
        assert {message.data for message in seen} == {b"%d" % number for number in range(10)}
        for message in seen[:30]:
            for _ in range(10):
                await world.clock.sleep(rng.randint(1, 20) / 1000)
                for stream in rng.sample(streams, 9):
                    stream.write(RPC(publish=[message]).SerializeToString())
        await world.clock.sleep(1)
        assert [subscription.pending for subscription in subscribed] == [0] * 19

    world = play(version, script, hosts=19, options=numbered, params=HostParams(seen_ttl_s=1e-9))
    assert "validation ignored" in events_of(world, "reject_message")


# --- the pipeline ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defaults", "own", "inline", "reason"),
    [
        ((Verdict.ACCEPT,), Verdict.ACCEPT, (), None),
        ((Verdict.REJECT,), Verdict.ACCEPT, (), "validation failed"),
        ((Verdict.IGNORE,), Verdict.ACCEPT, (), "validation ignored"),
        ((Verdict.IGNORE,), Verdict.REJECT, (), "validation failed"),
        ((Verdict.IGNORE,), Verdict.ACCEPT, (0,), "validation ignored"),
        ((Verdict.IGNORE,), Verdict.REJECT, (0,), "validation failed"),
        ((Verdict.IGNORE, Verdict.REJECT), Verdict.ACCEPT, (0, 1), "validation failed"),
    ],
)
def test_a_rejection_wins_over_ignore_and_ignore_over_acceptance(
    version: str, defaults: tuple[Verdict, ...], own: Verdict, inline: tuple[int, ...], reason: str | None
) -> None:
    """Of all validators of a topic, defaults and its own, inline or not."""

    async def script(world: World) -> None:
        subscription = await reader_of(world)
        await world.pubsubs[1].register_validator("foobar", verdict(own, 0.01))
        await pub(world.pubsubs[0], b"x")
        await world.settle()
        assert subscription.pending == (reason is None)
        assert events_of(world, "reject_message", host=1) == ([] if reason is None else [reason])

    def options(number: int) -> HostOptions:
        chosen = [Validator(function=verdict(v, 0.02), inline=n in inline) for n, v in enumerate(defaults)]
        return HostOptions(default_validators=tuple(chosen) if number else ())

    play(version, script, options=options)


def test_a_rejection_ends_the_other_validators(version: str) -> None:
    """The slower one is cancelled."""
    calls: list[object] = []

    async def script(world: World) -> None:
        await reader_of(world)
        await world.pubsubs[1].register_validator("foobar", verdict(Verdict.REJECT, 0.01, calls))
        await pub(world.pubsubs[0], b"x")
        await world.clock.sleep(5)
        assert calls == [Verdict.REJECT]

    def options(number: int) -> HostOptions:
        return HostOptions(default_validators=(Validator(function=verdict(True, 1, calls)),) if number else ())

    play(version, script, options=options)


def test_default_validators_judge_own_messages_too_and_before_the_topics(version: str) -> None:
    """In order, one after the other; a publisher is told of the first rejection, or else that it was ignored."""
    calls: list[object] = []

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await ps.register_validator("foobar", verdict(Verdict.REJECT, 0, calls))
        with pytest.raises(MessageRejected, match="validation failed"):
            await pub(ps, b"x")
        assert calls == [Verdict.IGNORE, Verdict.REJECT]
        with pytest.raises(MessageRejected, match="validation ignored"):
            await pub(ps, b"x", "another topic")

    options = HostOptions(default_validators=(Validator(function=verdict(Verdict.IGNORE, 0.1, calls)),))
    play(version, script, hosts=1, options=options)


def test_the_node_has_a_throttle_of_its_own(version: str) -> None:
    """More messages under asynchronous validation than `validate_throttle` are dropped."""

    async def script(world: World) -> None:
        subscription = await reader_of(world)
        await world.pubsubs[1].register_validator("foobar", verdict(True, 1))
        for number in range(5):
            await pub(world.pubsubs[0], b"%d" % number)
        await world.clock.sleep(2)
        assert subscription.pending == 3
        assert events_of(world, "reject_message", host=1) == ["validation throttled"] * 2

    play(version, script, params=HostParams(validate_throttle=3))


def test_inline_validators_that_take_time_keep_workers_busy_and_the_queue_is_bounded(version: str) -> None:
    """Two workers and a queue of three take five messages at once; the sixth finds the queue full."""

    async def script(world: World) -> None:
        subscription = await reader_of(world)
        await world.pubsubs[1].register_validator("foobar", verdict(True, 1), inline=True)
        for number in range(6):
            await pub(world.pubsubs[0], b"%d" % number)
            await world.clock.sleep(0.01)
        for waited, arrived in ((1, 2), (1, 4), (1, 5)):
            await world.clock.sleep(waited)
            assert subscription.pending == arrived
        assert events_of(world, "reject_message", host=1) == ["validation queue full"]

    play(version, script, params=HostParams(validate_workers=2, validate_queue_size=3))


def test_rpcs_are_handled_while_a_message_is_validated(version: str) -> None:
    """Validation is off the host's turns."""

    async def script(world: World) -> None:
        await reader_of(world)
        await world.pubsubs[1].register_validator("foobar", verdict(True, 10))
        await pub(world.pubsubs[0], b"x")
        await sub(world.pubsubs[0], "other")
        await world.clock.sleep(1)
        assert await world.pubsubs[1].list_peers("other") == [world.pubsubs[0].peer_id]

    play(version, script)


def test_a_validator_that_runs_out_of_time_is_ended_but_may_still_answer(version: str) -> None:
    """Its cancellation is the expired context of the reference; without an answer the message is ignored."""

    async def stubborn(peer: PeerId, message: Message) -> bool:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return message.data == b"good"
        return False

    async def script(world: World) -> None:
        subscription = await reader_of(world)
        await world.pubsubs[1].register_validator("foobar", verdict(True, 60), timeout_s=0.1)
        await pub(world.pubsubs[0], b"slow")
        await world.clock.sleep(0.2)
        assert events_of(world, "reject_message", host=1) == ["validation ignored"]
        await world.pubsubs[1].unregister_validator("foobar")
        await world.pubsubs[1].register_validator("foobar", stubborn, timeout_s=0.1)
        await pub(world.pubsubs[0], b"good")
        await receive(subscription, b"good")

    play(version, script)


def test_an_answer_that_is_none_is_ignored_with_a_warning(version: str, caplog: pytest.LogCaptureFixture) -> None:
    """As in the reference."""

    async def script(world: World) -> None:
        subscription = await reader_of(world)
        await world.pubsubs[1].register_validator("foobar", lambda peer, message: "yes", inline=True)
        await pub(world.pubsubs[0], b"x")
        await never(world, subscription, 1)
        assert events_of(world, "reject_message", host=1) == ["validation ignored"]

    with caplog.at_level(logging.WARNING):
        play(version, script)
    assert "a validator returned 'yes'; the message is ignored" in caplog.text


def test_GS55_the_same_id_twice_is_no_error_for_its_publisher(version: str) -> None:
    """A duplicate is dropped, and success."""

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "foobar")
        subscription = await topic.subscribe()
        for _ in range(2):
            await topic.publish(b"x")
        await world.settle()
        assert subscription.pending == 1

    play(version, script, hosts=1, options=HostOptions(message_id=lambda message: message.data))


def reject_all(peer: PeerId, message: Message) -> bool:
    return False


async def ignore_all(peer: PeerId, message: Message) -> Verdict:
    await asyncio.sleep(0.01)
    return Verdict.IGNORE


@pytest.mark.parametrize(
    ("validator", "inline", "reason"),
    [
        (reject_all, True, "validation failed"),
        (reject_all, False, "validation failed"),
        (ignore_all, False, "validation ignored"),
    ],
)
def test_a_refused_message_is_not_delivered_and_not_passed_on(
    version: str, transport: str, validator: Callable[[PeerId, Message], bool], inline: bool, reason: str
) -> None:
    """By an inline, a plain or an asynchronous validator, with the reference's reason."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await world.connect(0, 1)
        await world.connect(1, 2)
        await world.settle()
        await world.pubsubs[1].register_validator("t", validator, inline=inline)
        await topics[0].publish(b"x")
        await world.settle()
        assert [subscription.pending for subscription in subscriptions] == [1, 0, 0]
        assert [event.detail for event in world.trace if event.kind == "reject_message"] == [reason]

    play(version, script, hosts=3, transport=transport)


@pytest.mark.parametrize("inline", [True, False])
def test_a_validator_that_raises_ignores_the_message_and_is_logged(
    version: str, transport: str, inline: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Validation goes on with the next message; a publisher whose own message it is gets the error."""

    def raising(peer: PeerId, message: Message) -> bool:
        if message.data == b"bad":
            raise ZeroDivisionError
        return True

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await meet(world)
        await world.pubsubs[1].register_validator("t", raising, inline=inline)
        for data in (b"bad", b"good"):
            await topics[0].publish(data)
            await world.settle()
        assert (await subscriptions[1].next()).data == b"good"
        with pytest.raises(ZeroDivisionError):
            await topics[1].publish(b"bad")

    play(version, script, transport=transport, hosts=2)
    assert "the validator of t raised" in caplog.text


ANSWERS = [
    (True, True),
    (False, False),
    (np.bool_(True), True),
    (np.bool_(False), False),
    (np.all(np.array([1, 2]) > 0), True),
    (Verdict.ACCEPT, True),
    (Verdict.REJECT, False),
    (Verdict.IGNORE, False),
    *(
        (answer, False)
        for answer in (0, 1, 2, 1.0, np.int64(0), np.int64(1), np.float64(1), np.array([True]), None, "yes")
    ),
]


@pytest.mark.parametrize("is_coroutine", [False, True])
@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("is_own", [False, True])
def test_what_a_validator_answers_is_never_turned_round(
    version: str, is_own: bool, inline: bool, is_coroutine: bool
) -> None:
    """Truth values are read as such, NumPy's too; a number is no verdict, and its message is ignored."""

    async def script(world: World) -> None:
        topics = [await handle(ps, "t") for ps in world.pubsubs]
        subscription = await topics[1].subscribe()
        await connect(world, (0, 1))
        for answer, is_accepted in ANSWERS:
            validate = verdict(answer) if is_coroutine else lambda peer, message, answer=answer: answer
            judging = world.pubsubs[0 if is_own else 1]
            await judging.register_validator("t", validate, inline=inline)  # type: ignore[arg-type] # what is tested
            try:
                await topics[0].publish(b"x")
            except MessageRejected:
                assert is_own
            await world.settle()
            assert (subscription.pending == 1) == is_accepted, answer
            if is_accepted:
                await subscription.next()
            await judging.unregister_validator("t")

    play(version, script)


def test_a_verdict_is_true_if_it_accepts() -> None:
    """The reference's numbers would say the opposite."""
    assert [bool(one) for one in Verdict] == [True, False, False]
    assert [one.value for one in Verdict] == [0, 1, 2]


async def later(*arguments: object) -> bool:
    return False


def test_a_question_that_is_answered_later_is_refused(version: str) -> None:
    """A coroutine is always true: readiness and subscription filter have to answer at once."""

    class LateFilter(AllowlistFilter):
        def can_subscribe(self, topic: str) -> bool:
            return later()  # type: ignore[return-value] # what is tested

    async def script(world: World) -> None:
        with pytest.raises(UnusableAnswer, match="can be true or false"):
            await world.pubsubs[1].join("t")
        topic = await world.pubsubs[0].join("t")
        with pytest.raises(UnusableAnswer, match="can be true or false"):
            await topic.publish(b"x", ready=later)  # type: ignore[arg-type] # what is tested
        await topic.publish(b"x", ready=lambda router, name: np.bool_(True))  # type: ignore[arg-type, return-value] # likewise

    options = [HostOptions(), HostOptions(subscription_filter=LateFilter(["t"]))]
    play(version, script, options=lambda number: options[number])


def test_a_message_id_that_is_not_bytes_reaches_the_publisher(version: str) -> None:
    """It could be sent to nobody."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t", lambda message: "id")  # type: ignore[arg-type, return-value] # what is tested
        with pytest.raises(UnusableAnswer, match="expected bytes, got 'id'"):
            await topic.publish(b"x")

    play(version, script, hosts=1)
