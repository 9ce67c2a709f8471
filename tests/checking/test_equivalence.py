"""Both versions take the same decisions over many seeds, and a comparison that could not fail would prove nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from pubsub_sim import OptionError
from pubsub_sim.checking.equivalence import Played, difference, play
from pubsub_sim.checking.seeded import KINDS, ROUTERS, Case
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.ids import PeerId
from pubsub_sim.node.driver import Driver, HostContext
from pubsub_sim.protocol.operations import Heartbeat, Operation
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from tests.conftest import VERSIONS

pytestmark = pytest.mark.xdist_group("equivalence")

Factory = Callable[[HostContext], Driver]
PAIR = ("baseline", "states")
SEEDS = range(1, 5)
"""`make equivalence` plays 200 of each kind."""


@cache
def played(router: str, kind: str, seed: int, version: str) -> Played:
    return play(Case(router=router, kind=kind, seed=seed), version)


@pytest.fixture(scope="module", autouse=True)
def forgotten_in_the_end() -> Iterator[None]:
    """The runs that several tests look at are large."""
    yield
    played.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("router", ROUTERS)
def test_both_versions_decide_the_same(router: str, kind: str) -> None:
    """The same messages for the same subscriptions, and the same events at the same nanosecond at every host."""
    for seed in SEEDS:
        baseline, states = (played(router, kind, seed, version) for version in PAIR)
        told = difference(PAIR, baseline, states)
        replay = f"python -m pubsub_sim equivalence --routers {router} --kinds {kind} --first-seed {seed} --seeds 1"
        assert not told, f"{told}\nplay it again: {replay}"
        assert baseline.digest == states.digest


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("router", ROUTERS)
def test_the_seed_decides(router: str, kind: str, version: str) -> None:
    """Once more the same gives the same; another seed gives something else."""
    digests = [played(router, kind, seed, version).digest for seed in SEEDS]
    assert len(set(digests)) == len(digests)
    assert play(Case(router=router, kind=kind, seed=SEEDS[0]), version).digest == digests[0]


def churn_digests() -> list[str]:
    return [played(router, "churn", 1, version).digest for router in ROUTERS for version in PAIR]


def test_the_hash_seed_does_not() -> None:
    """No set's order reaches a decision, in worlds where hosts come and go."""
    code = "from tests.checking.test_equivalence import churn_digests; print(*churn_digests())"
    for seed in "1", "2":
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        )
        assert done.stdout.split() == churn_digests()


@pytest.mark.parametrize("router", ROUTERS)
def test_something_happens(router: str) -> None:
    """What is compared is not empty: every kind of decision is taken somewhere."""
    events = [event for kind in KINDS for seed in SEEDS for event in played(router, kind, seed, "baseline").trace]
    expected = {"send_rpc", "recv_rpc", "deliver_message", "duplicate_message", "reject_message", "join", "leave"}
    expected |= {"undeliverable_message", "remove_peer", "crash", "restart", "drop_begins"}
    expected |= {"graft", "prune"} if router == "gossipsub" else set()
    assert expected <= {event.kind for event in events}
    assert any(event.time_ns < 0 for event in events)


# --- planted changes: each is made in one version only, and the comparison must fail -----------------------------------


def announces_after_joining(make: Factory) -> Factory:
    """Take a topic up in the wrong order."""

    def plant(context: HostContext) -> Driver:
        announce, join = context.core.announcer.announce, context.core.join

        def announce_late(topic: str, *, subscribe: bool) -> None:
            if not subscribe:
                announce(topic, subscribe=False)

        def join_first(topic: str) -> None:
            join(topic)
            announce(topic, subscribe=True)

        vars(context.core.announcer).update(announce=announce_late)
        vars(context.core).update(join=join_first)
        return make(context)

    return plant


def tells_the_author(make: Factory) -> Factory:
    """Send a message back to who wrote it, if another brought it."""

    def plant(context: HostContext) -> Driver:
        core, publish = context.core, context.core.publish_message

        def publish_to_author(message: Message) -> None:
            publish(message)
            author = message.source
            if author != message.received_from and author in core.peers and author in core.topics[message.topic]:
                core.send(author, message.frame)

        vars(core).update(publish_message=publish_to_author)
        return make(context)

    return plant


def delivers_before_validating(make: Factory) -> Factory:
    """Publish what a peer brought at once; what its validators say comes later."""

    def plant(context: HostContext) -> Driver:
        core, push, publish = context.core, context.core._push, context.core.publish_message
        published: set[bytes] = set()

        def push_first(message: Message) -> bool:
            core.publish_message(message)
            return push(message)

        def publish_once(message: Message) -> None:
            if message.id not in published:
                published.add(message.id)
                publish(message)
            elif (
                core.pending is not None and core.pending.message is message
            ):  # nothing is missing, so only the order can tell
                core.pending.is_published = True
                core.pending = None if core.pending.is_last else core.pending

        vars(core).update(_push=push_first, publish_message=publish_once)
        return make(context)

    return plant


def forwards_duplicates(make: Factory) -> Factory:
    """Pass the second copy of a message on, too."""

    def plant(context: HostContext) -> Driver:
        core, examine = context.core, context.core._examine
        forwarded: set[bytes] = set()

        def examine_and_forward(peer: PeerId, wire: WireMessage) -> Message | None:
            message_id = wire.author + wire.seqno
            if core.has_seen(message_id) and message_id not in forwarded and wire.author != core.peer_id:
                forwarded.add(message_id)
                author = PeerId(wire.author)
                core.router.publish(
                    Message(wire, peer, source=author, seqno=wire.seqno, topic=wire.topic, id=message_id)
                )
            return examine(peer, wire)

        vars(core).update(_examine=examine_and_forward)
        return make(context)

    return plant


def beats_late(make: Factory) -> Factory:
    """Do at each heartbeat what was due at the one before."""

    def plant(context: HostContext) -> Driver:
        driver = make(context)
        submit = driver.submit
        due: list[Operation] = []

        def submit_late(operation: Operation) -> None:
            if isinstance(operation, Heartbeat):
                due.append(operation)
                if len(due) == 1:
                    return
                operation = due.pop(0)
            submit(operation)

        vars(driver).update(submit=submit_late)
        return driver

    return plant


@pytest.mark.parametrize(
    ("router", "plant"),
    [
        ("gossipsub", announces_after_joining),  # floodsub does nothing at a join
        ("floodsub", tells_the_author),
        ("gossipsub", tells_the_author),
        ("floodsub", delivers_before_validating),
        ("gossipsub", delivers_before_validating),
        ("floodsub", forwards_duplicates),
        ("gossipsub", forwards_duplicates),
        ("gossipsub", beats_late),  # floodsub has no heartbeat
    ],
)
def test_a_planted_change_is_seen(router: str, version: str, plant: Callable[[Factory], Factory]) -> None:
    """Whichever of the two drivers it is planted in; the report names the host and shows both sides."""
    case = Case(router=router, kind="calm", seed=1)
    changed = play(case, version, plant(driver_factory(version)))
    (other,) = (name for name in VERSIONS if name != version)
    told = difference((version, other), changed, played(router, "calm", 1, other))
    assert "the traces part at host " in told
    assert f"\n  {version}" in told
    assert f"\n  {other}" in told


@pytest.mark.parametrize("change", ["fewer", "none"])
def test_messages_of_one_version_only_are_seen(change: str) -> None:
    """Whatever the traces say: a subscription that was given less, or that is not there."""
    baseline = played("floodsub", "calm", 1, "baseline")
    reader = next(reader for reader, ids in baseline.given.items() if len(ids) > 1)
    given = {**baseline.given, reader: baseline.given[reader][1:]}
    if change == "none":
        del given[reader]
    told = difference(PAIR, baseline, replace(baseline, given=given))
    assert told.startswith(f"1 of {len(baseline.given)} subscriptions were not given the same messages")
    assert f"number {reader.number} of host {reader.host} to {reader.topic!r}" in told
    assert ("states has no such subscription" in told) == (change == "none")
    assert "traces" not in told


def test_a_driver_made_by_hand_changes_nothing(version: str) -> None:
    """It is the change that is seen, not that the driver came by another way."""
    case = Case(router="gossipsub", kind="calm", seed=1)
    assert play(case, version, driver_factory(version)).digest == played("gossipsub", "calm", 1, version).digest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"router": "randomsub"}, "router: expected one of floodsub, gossipsub, got 'randomsub'"),
        ({"kind": "storm"}, "kind: expected one of calm, jitter, loss, churn, got 'storm'"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
    ],
)
def test_an_unusable_case_is_named(options: dict[str, object], message: str) -> None:
    """Before anything runs."""
    with pytest.raises(OptionError, match=message):
        Case(**({"router": "floodsub", "kind": "calm", "seed": 1} | options))  # type: ignore[arg-type] # that is the point
