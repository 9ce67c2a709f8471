"""Random plans of faults: both versions keep their promises, and a node that breaks one is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pubsub_sim import OptionError
from pubsub_sim.bench.faults import replay_command, within
from pubsub_sim.checking.fault_runs import FaultRun, fault_run
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.node.driver import Driver, HostContext
from pubsub_sim.protocol.core import Core
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import RPC

ROUTERS = ("floodsub", "gossipsub")
SEEDS = range(6)
ILL = 2  # the host with the defect
Defect = Callable[[Core], None]


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_promises_are_kept_whatever_goes_wrong(version: str, router: str, seed: int) -> None:
    """Nothing crashes, hangs, is corrupted, is delivered twice or gets lost without a cause; then all is well again."""
    options = FaultRun(version=version, router=router, seed=seed)
    assert fault_run(options) == [], replay_command(options)


# --- defects that must be found out --------------------------------------------------------------------------------


def twice(core: Core) -> None:
    """Delivers every message twice."""
    publish = core.publish_message

    def publish_twice(message: Message) -> None:
        publish(message)
        publish(message)

    core.publish_message = publish_twice


def twice_unseen(core: Core) -> None:
    """Offers every message twice to its subscriptions, and tells nobody."""
    publish = core.publish_message

    def offer_again(message: Message) -> None:
        publish(message)
        for subscription in core._subscriptions.get(message.topic, ()):
            subscription.offer(message)

    core.publish_message = offer_again


def deaf(core: Core) -> None:
    """Drops every fifth RPC from peers, without a word."""
    handle, count = core.handle_rpc, 0

    def handle_most(peer: bytes, rpc: RPC) -> None:
        nonlocal count
        count += 1
        if count % 5:
            handle(peer, rpc)

    core.handle_rpc = handle_most


def forgetful(core: Core) -> None:
    """Takes every fifth message for one it has seen."""
    mark, count = core.mark_seen, 0

    def mark_most(message_id: bytes) -> bool:
        nonlocal count
        count += 1
        return mark(message_id) and bool(count % 5)

    core.mark_seen = mark_most


def selfish(core: Core) -> None:
    """Does not pass on what peers bring."""
    publish = core.router.publish

    def publish_own(message: Message) -> None:
        if message.received_from == core.peer_id:
            publish(message)

    core.router.publish = publish_own


def garbling(core: Core) -> None:
    """Delivers another payload than it received."""
    publish = core.publish_message

    def garble(message: Message) -> None:
        message.data = message.data[::-1]
        publish(message)

    core.publish_message = garble


def stubborn(core: Core) -> None:
    """Has a stream to each peer once, and never again."""
    note, known = core.peer_streams.note_connected, set()

    def note_once(peer: bytes) -> None:
        if peer not in known:
            known.add(peer)
            note(peer)

    core.peer_streams.note_connected = note_once


def raising(core: Core) -> None:
    """Its handler of dead peers raises."""

    def take() -> None:
        raise ZeroDivisionError("planted")

    core.peer_streams.take_dead_peers = take


def losing_an_error(core: Core) -> None:
    """Starts a task that raises, and forgets it."""
    take = core.peer_streams.take_dead_peers

    async def fail() -> None:
        raise ZeroDivisionError("planted")

    def take_and_fail() -> None:
        take()
        asyncio.get_running_loop().create_task(fail())

    core.peer_streams.take_dead_peers = take_and_fail


def forging(core: Core) -> None:
    """Delivers messages without their signatures."""
    publish = core.publish_message

    def forge(message: Message) -> None:
        publish(message)
        message.wire.ClearField("signature")

    core.publish_message = forge


def spinning(core: Core) -> None:
    """Once a peer has died, has something to do in every round of the loop, so that no time passes any more."""

    def again() -> None:
        asyncio.get_running_loop().call_soon(again)

    core.peer_streams.take_dead_peers = again


def shy(core: Core) -> None:
    """Is never ready."""
    core.router.has_enough_peers = lambda topic, suggested: False


def ill(version: str, defect: Defect) -> Callable[[HostContext], Driver]:
    """What makes the control flow of the hosts, one of which has a defect."""
    make_driver = driver_factory(version)

    def make(context: HostContext) -> Driver:
        if context.number == ILL:
            defect(context.core)
        return make_driver(context)

    return make


@pytest.mark.parametrize(
    ("defect", "sentence"),
    [
        (twice, "twice"),
        (twice_unseen, "read a message twice"),
        (deaf, "not handled before what came after it"),
        (forgetful, "did not deliver it"),
        (selfish, "did not send it to host"),
        (garbling, "otherwise than others"),
        (forging, "otherwise than others"),
        (stubborn, "and has no"),
        (raising, "ZeroDivisionError: planted"),
        (losing_an_error, "unhandled ZeroDivisionError('planted')"),
        (shy, "recovery: host 2 is not ready 120 s after the faults"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("router", ROUTERS)
def test_a_defect_of_one_host_is_found_out(version: str, router: str, defect: Defect, sentence: str) -> None:
    """And named."""
    broken = fault_run(FaultRun(version=version, router=router, seed=1), ill(version, defect))
    assert any(sentence in line for line in broken), broken


def test_a_host_that_never_rests_is_found_out(version: str) -> None:
    """Its world is never quiet."""
    make_driver = driver_factory(version)

    def make_restless(context: HostContext) -> Driver:
        driver = make_driver(context)
        if context.number == ILL:
            driver.__class__ = type("Restless", (type(driver),), {"is_idle": False})
        return driver

    broken = fault_run(FaultRun(version=version, router="floodsub", seed=1), make_restless)
    assert broken == ["NeverQuiet: not quiet after 30 s, busy: host 2"]


def test_a_world_in_which_no_time_passes_is_ended(version: str) -> None:
    """Neither the virtual clock nor a limit of virtual time would end it."""
    options = FaultRun(version=version, router="floodsub", seed=1)
    broken = within(1.0, lambda: fault_run(options, ill(version, spinning)))
    assert broken == ["not ended after 1 s of processor time"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"version": "other"}, "version: expected one of baseline, states, direct, states-rpc, got 'other'"),
        ({"router": "randomsub"}, "router: expected one of floodsub, gossipsub, got 'randomsub'"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
    ],
)
def test_a_run_that_cannot_be_is_refused(options: dict[str, object], sentence: str) -> None:
    """The option, its value and what was expected."""
    with pytest.raises(OptionError, match=sentence):
        FaultRun(**{"version": "baseline", "router": "floodsub", "seed": 0} | options)
