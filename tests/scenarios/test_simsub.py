"""The set-up of simsub: its numbers, what both versions make of it, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache

import pytest

from pubsub_sim import OptionError, World, run
from pubsub_sim.errors import ScenarioFailure
from pubsub_sim.ids import PeerId
from pubsub_sim.net.virtual import VirtualLoop
from pubsub_sim.protocol.core import Core
from pubsub_sim.protocol.pending import Pending
from pubsub_sim.scenarios.simsub import PHASES, Simsub, Spread, simsub
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.sealed import ReceivedRPC

pytestmark = pytest.mark.xdist_group("simsub")  # which look at the same runs


def play(**options: object) -> Spread:
    given = Simsub(**({"version": "baseline", "hosts": 50, "messages": 5} | options))  # type: ignore[arg-type]
    return run(simsub(given, lambda _: nullcontext()), clock="virtual")


@cache
def played(version: str = "baseline") -> Spread:
    """A run that several tests look at."""
    return play(version=version)


@cache
def mesh() -> Spread:
    """A larger one."""
    return play(hosts=100, messages=10)


@pytest.fixture(scope="module", autouse=True)
def forgotten_in_the_end() -> Iterator[None]:
    """No other module looks at them."""
    yield
    played.cache_clear()
    mesh.cache_clear()


def test_every_message_reaches_every_host(version: str) -> None:
    """Nothing is lost on the way, and the latencies of all deliveries at other hosts are in the buckets."""
    spread = played(version)
    assert (spread.deliveries, spread.undelivered, spread.dropped) == (250, 0, 0)
    assert sum(spread.buckets) == len(spread.latencies_ns) == 5 * 49


def test_meshes_and_gossip_are_of_the_sizes_asked_for() -> None:
    """Copies lie between Dlo and Dhi; whoever has news tells 6 peers of it in each of the heartbeats it is news in."""
    spread = mesh()
    assert 4 < spread.copies < 12
    assert 0.95 < spread.sent["ihave"] / (100 * 6 * 12) < 1.05
    assert 1600 < spread.links < 2000  # 2,000 dials, a tenth of which find a connection


def test_both_versions_do_the_same() -> None:
    """Equal counts, equal latencies to the nanosecond."""
    assert played("baseline") == played("states")


def test_encoding_changes_nothing(version: str) -> None:
    """Every RPC encoded and decoded, or handed over: equal counts, equal latencies to the nanosecond."""
    assert played(version) == play(version=version, encode=True)


def test_rpcs_that_need_no_turn_are_taken_without_one(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most need none; with a turn for every one of them, counts and latencies are the same."""
    turns: list[int] = []
    handle_rpc = Core.handle_rpc

    def counted(core: Core, peer: PeerId, rpc: ReceivedRPC) -> Pending | None:
        turns[-1] += 1
        return handle_rpc(core, peer, rpc)

    def counted_run() -> Spread:
        turns.append(0)
        return play(version=version, messages=20)

    monkeypatch.setattr(Core, "handle_rpc", counted)
    spread = counted_run()
    monkeypatch.setattr(VirtualLoop, "is_last_call", lambda loop: False)
    assert spread == counted_run()
    assert turns[0] < 0.4 * turns[1]


def test_a_driver_that_does_more_with_an_rpc_has_a_turn_for_each() -> None:
    """So has a version made of another's classes: whoever says nothing is given every RPC."""
    assert {settles(version) for version in ("baseline", "states")} == {True}
    assert {settles(version) for version in ("direct", "states-rpc")} == {False}


def settles(version: str) -> bool:
    async def main() -> bool:
        async with World(1, version=version, discovery=False) as world:
            return bool(getattr(world.pubsubs[0]._driver, "settles_rpcs", False))

    return run(main(), clock="virtual")


def test_copies_are_the_mean_degree_less_one() -> None:
    """A host passes a message on to every member of its mesh but the one it came from."""
    spread = mesh()
    degree = sum(spread.members) / 2 / 100
    assert 0.97 < spread.copies / (degree - 1) < 1.03


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same run, another seed another."""
    assert play() == played()
    assert play(seed=4) != played()


def test_a_host_dials_all_others_if_there_are_few() -> None:
    """All pairs are connected, once each."""
    assert play(hosts=8).links == 28


def test_the_phases_are_entered_in_order() -> None:
    """Each once."""
    entered: list[str] = []

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        entered.append(name)
        yield

    run(simsub(Simsub(version="baseline", hosts=8, messages=1), phase), clock="virtual")
    assert tuple(entered) == PHASES


def test_a_message_that_is_delivered_twice_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong count of copies would go unnoticed otherwise."""
    publish = Core.publish_message

    def twice(core: Core, message: Message) -> None:
        publish(core, message)
        publish(core, message)

    monkeypatch.setattr(Core, "publish_message", twice)
    with pytest.raises(ScenarioFailure, match=r"host \d+ was delivered message 0 twice"):
        play(hosts=8)


def test_a_message_that_gets_nowhere_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that delivers nothing is what the deliveries miss."""
    publish = Core.publish_message
    silent: list[Core] = []

    def only_others(core: Core, message: Message) -> None:
        if not silent:
            silent.append(core)
        if core is not silent[0]:
            publish(core, message)

    monkeypatch.setattr(Core, "publish_message", only_others)
    spread = play(hosts=8, messages=2, sources=1)
    assert spread.undelivered == 2 * 8 - spread.deliveries > 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"version": "lower-bound"},
            "version: expected one of baseline, states, direct, states-rpc, got 'lower-bound'",
        ),
        ({"hosts": 5}, "hosts=5 cannot be used with sources=5"),
        ({"messages": 0}, "messages: expected a whole number of at least 1, got 0"),
        ({"dials": 0}, "dials: expected a whole number of at least 1, got 0"),
    ],
)
def test_a_run_that_cannot_be_is_refused(options: dict[str, object], sentence: str) -> None:
    """The option, its value and what was expected."""
    with pytest.raises(OptionError, match=sentence):
        play(**options)
