"""Who signs, who verifies, and what each policy refuses: semantics of the reference, with its test ids."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pubsub_sim import HostOptions, MessageRejected, OptionConflict, World
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.seqno_validator import SeqnoValidator
from pubsub_sim.protocol.validation import Validator
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.wire.signing import SignPolicy
from tests.pubsub.worlds import FakePeer, connect, events_of, handle, key_of, meet, play, pub, receive, sub, sub_all


def by_data(message: WireMessage) -> bytes:
    return base64.b64encode(message.data)


def test_F14_with_no_signing(version: str) -> None:
    """Without an author a message carries neither author nor number nor signature."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        subscription = await sub(world.pubsubs[1])
        await world.settle()
        await pub(world.pubsubs[0], b"this is a message")
        message = await subscription.next()
        assert (message.signature, message.source, message.seqno) == (b"", b"", b"")
        assert (message.data, message.id) == (b"this is a message", base64.b64encode(b"this is a message"))
        assert not message.wire.HasField("author")
        assert not message.wire.HasField("seqno")

    play(version, script, options=HostOptions(has_author=False, message_id=by_data))


def test_F15_with_signing(version: str) -> None:
    """With strict signing it carries all three."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        subscription = await sub(world.pubsubs[1])
        await world.settle()
        await pub(world.pubsubs[0], b"this is a message")
        message = await subscription.next()
        assert message.signature
        assert message.source == world.pubsubs[0].peer_id
        assert len(message.seqno) == 8

    play(version, script)


def test_F16_improperly_signed_message_rejected(version: str) -> None:
    """A message an adversary signs with the honest host's name and key is not delivered there."""

    async def script(world: World) -> None:
        adversary, honest = world.pubsubs
        await connect(world, (0, 1))
        own, other = await sub_all(world.pubsubs)
        await world.settle()
        topic = await handle(adversary, "foobar")
        await topic.publish(b"this is a correct message")
        await topic.publish(b"this is a forged message", key=honest._key)
        await world.clock.sleep(1)
        assert (own.pending, other.pending) == (2, 1)
        await receive(other, b"this is a correct message")

    play(version, script, options=lambda n: HostOptions(policy=SignPolicy.LAX if n == 0 else SignPolicy.STRICT))


def test_F16_a_message_of_our_own_from_somebody_else_is_refused(version: str) -> None:
    """However well it is signed."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        subscription = await sub(ps)
        fake = FakePeer(world)
        await fake.connect(ps)
        stream = await fake.open(ps)
        message = WireMessage(data=b"x", topic="foobar", author=ps.peer_id, seqno=bytes(8))
        ps._key.sign(message)
        stream.write(RPC(publish=[message]).SerializeToString())
        await world.settle()
        assert subscription.pending == 0
        assert events_of(world, "reject_message") == ["self originated message"]

    play(version, script, hosts=1)


def wire_message(kind: str, peer: FakePeer) -> WireMessage:
    """A message as a peer may send it."""
    if kind == "bare":
        return WireMessage(data=b"x", topic="foobar")
    message = WireMessage(data=b"x", topic="foobar", author=peer.peer_id, seqno=bytes(8))
    if kind in ("signed", "forged"):
        peer.key.sign(message)
    if kind == "forged":
        message.data = b"y"
    return message


@pytest.mark.parametrize(
    ("policy", "has_author", "kind", "reason"),
    [
        (SignPolicy.STRICT, True, "signed", None),
        (SignPolicy.STRICT, True, "authored", "missing signature"),
        (SignPolicy.STRICT, True, "bare", "missing signature"),
        (SignPolicy.STRICT, True, "forged", "invalid signature"),
        (SignPolicy.STRICT_NO_SIGN, True, "signed", "unexpected signature"),
        (SignPolicy.STRICT_NO_SIGN, True, "authored", None),
        (SignPolicy.STRICT_NO_SIGN, True, "bare", None),
        (SignPolicy.STRICT_NO_SIGN, False, "signed", "unexpected signature"),
        (SignPolicy.STRICT_NO_SIGN, False, "authored", "unexpected auth info"),
        (SignPolicy.STRICT_NO_SIGN, False, "bare", None),
        *(
            (policy, True, kind, "invalid signature" if kind == "forged" else None)
            for policy in (SignPolicy.LAX, SignPolicy.LAX_NO_SIGN)
            for kind in ("signed", "authored", "bare", "forged")
        ),
    ],
)
def test_each_policy_refuses_what_it_says(
    version: str, policy: SignPolicy, has_author: bool, kind: str, reason: str | None
) -> None:
    """With the reference's reasons."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        subscription = await sub(ps)
        fake = FakePeer(world)
        await fake.connect(ps)
        stream = await fake.open(ps)
        stream.write(RPC(publish=[wire_message(kind, fake)]).SerializeToString())
        await world.settle()
        assert subscription.pending == (reason is None)
        assert events_of(world, "reject_message") == ([] if reason is None else [reason])

    options = (
        HostOptions(policy=policy) if has_author else HostOptions(policy=policy, has_author=False, message_id=by_data)
    )
    play(version, script, hosts=1, options=options)


@pytest.mark.parametrize(("sign", "signed"), [("strict", True), ("none", False), ("lax", True), ("lax-none", False)])
def test_a_worlds_policy_says_whether_messages_are_signed(version: str, sign: str, signed: bool) -> None:
    """And every host of that world accepts what the others write."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        subscription = await sub(world.pubsubs[1])
        await world.settle()
        await pub(world.pubsubs[0], b"x")
        assert bool((await subscription.next()).signature) == signed

    play(version, script, sign=sign)


def test_a_custom_key_signs_whatever_the_policy_and_the_policy_may_refuse_that(version: str) -> None:
    """A strict world without signatures does not let its own host publish a signed message."""

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "foobar")
        with pytest.raises(MessageRejected, match="unexpected signature"):
            await topic.publish(b"x", key=key_of("virtual"))
        await topic.publish(b"x")

    play(version, script, hosts=1, sign="none")


@pytest.mark.parametrize(
    ("options", "conflicting"),
    [
        ({}, "message_id"),
        ({"message_id": by_data, "policy": SignPolicy.STRICT}, "policy"),
        ({"message_id": by_data, "policy": SignPolicy.LAX}, "policy"),
        ({"message_id": by_data, "author": PeerId(b"x")}, "author"),
        (
            {"message_id": by_data, "default_validators": (Validator(function=SeqnoValidator()),)},
            "default_validators",
        ),
    ],
)
def test_options_that_cannot_work_without_an_author_are_refused(options: dict[str, Any], conflicting: str) -> None:
    """When they are made, with a sentence: all messages would have one id, could not be signed, or would be ignored."""
    with pytest.raises(OptionConflict) as refused:
        HostOptions(has_author=False, **options)
    assert (refused.value.option, refused.value.other) == (conflicting, "has_author")


def test_a_host_without_an_author_takes_no_seqno_validator(version: str) -> None:
    """It would ignore every message."""

    async def script(world: World) -> None:
        with pytest.raises(OptionConflict, match=r"fn=.* cannot be used with has_author=False"):
            await world.pubsubs[0].register_validator("t", SeqnoValidator())

    play(version, script, hosts=1, options=HostOptions(has_author=False, message_id=by_data))


def test_an_author_is_named_or_left_out(version: str) -> None:
    """Not both; unsigned worlds may name anybody."""
    with pytest.raises(OptionConflict, match=r"author=.* cannot be used with has_author=False"):
        HostOptions(author=PeerId(b"x"), has_author=False)

    async def script(world: World) -> None:
        subscription = await sub(world.pubsubs[0])
        await pub(world.pubsubs[0], b"x")
        assert (await subscription.next()).source == b"somebody"

    play(version, script, hosts=1, sign="none", options=HostOptions(author=PeerId(b"somebody")))


def test_an_unsigned_world_signs_nothing(version: str, transport: str) -> None:
    """StrictNoSign: no signature, and still one delivery each."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await meet(world)
        await topics[1].publish(b"x")
        for subscription in subscriptions:
            assert (await subscription.next()).signature == b""
        await world.settle()
        assert [subscription.pending for subscription in subscriptions] == [0, 0, 0]

    play(version, script, hosts=3, transport=transport, sign="none")
