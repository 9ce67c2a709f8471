"""The measured scenario: its phases, the work it does, and what it calls a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pubsub_sim import OptionError, run
from pubsub_sim.errors import ScenarioFailure
from pubsub_sim.node.topic import Subscription
from pubsub_sim.protocol.announcing import Announcer
from pubsub_sim.scenarios.simple_discovery import PHASES, Outcome, SimpleDiscovery, simple_discovery
from pubsub_sim.wire.message import Message


def play(entered: list[str] | None = None, loop: str | None = None, **options: object) -> Outcome:
    """On the virtual clock, or on a loop of wall time."""

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        if entered is not None:
            entered.append(name)
        yield

    given = SimpleDiscovery(**({"version": "baseline", "hosts": 4, "messages": 3} | options))  # type: ignore[arg-type]
    return run(simple_discovery(given, phase), clock="wall" if loop else "virtual", loop=loop)


def test_the_phases_are_entered_in_order(version: str) -> None:
    """Each once, and each counted."""
    entered: list[str] = []
    outcome = play(entered, version=version)
    assert tuple(entered) == PHASES
    assert tuple(phase.name for phase in outcome.phases) == PHASES


@pytest.mark.parametrize("hosts", [2, 3, 7])
def test_the_work_is_that_of_the_formula(version: str, hosts: int) -> None:
    """All pairs connected; one announcement per direction; (N-1) + (N-1)(N-2) RPCs per message; no fixed wait but the poll."""
    outcome = play(version=version, hosts=hosts, messages=5)
    rpcs = {phase.name: phase.rpcs for phase in outcome.phases}
    assert outcome.connections == hosts * (hosts - 1) // 2
    assert outcome.deliveries == hosts * 6
    assert rpcs["init"] + rpcs["subscribe"] + rpcs["ps1.Subscribe"] + rpcs["barrier"] == hosts * (hosts - 1)
    per_message = (hosts - 1) + (hosts - 1) * (hosts - 2)
    assert rpcs["first message"] == per_message
    assert rpcs["rand msgs"] == 5 * per_message
    waits = {phase.name: phase.fixed_wait_ns for phase in outcome.phases if phase.fixed_waits}
    assert waits in ({}, {"subscribe": 100_000_000})


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_over_sockets_the_same_is_connected_and_delivered(version: str, loop: str) -> None:
    """Who hears a message from whom is for the sockets to say: a host spares an RPC for each two it heard of first."""
    outcome = play(version=version, loop=loop, hosts=5, messages=10, transport="tcp")
    rpcs = {phase.name: phase.rpcs for phase in outcome.phases}
    assert (outcome.connections, outcome.deliveries) == (10, 55)
    assert rpcs["init"] + rpcs["subscribe"] + rpcs["ps1.Subscribe"] + rpcs["barrier"] == 20
    assert 10 * (4 + 4 * 2) <= rpcs["rand msgs"] <= 10 * (4 + 4 * 3)


@pytest.mark.parametrize("router", ["randomsub", "gossipsub"])
@pytest.mark.parametrize("hosts", [2, 5, 20])
def test_it_plays_with_every_router(router: str, hosts: int) -> None:
    """All connected, everything delivered, equal work; a mesh is waited for, as it never holds all of 20 hosts."""
    baseline, states = (play(version=name, router=router, hosts=hosts) for name in ("baseline", "states"))
    assert baseline == states
    assert baseline.deliveries == hosts * 4


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sign", ["strict", "none"])
def test_both_versions_do_equal_work(seed: int, sign: str) -> None:
    """Phase by phase: the same RPCs and the same fixed waits, so that a ratio of times means something."""
    assert play(version="baseline", seed=seed, sign=sign, hosts=6) == play(
        version="states", seed=seed, sign=sign, hosts=6
    )


def test_the_originals_procedure_stays_available(version: str) -> None:
    """Without the barrier the first message waits for announcements, in steps of 100 ms."""
    outcome = play(version=version, barrier=False, hosts=5)
    assert outcome.deliveries == 5 * 4
    assert sum(phase.fixed_waits for phase in outcome.phases) >= 1


def test_a_wrong_payload_is_a_failure(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phase and both payloads are named; a complete but wrong run is no success."""
    read = Subscription.next

    async def corrupted(self: Subscription) -> Message:
        message = await read(self)
        if message.data == b"1 the flooooooood 1":
            message.data = b"garbage"
        return message

    monkeypatch.setattr(Subscription, "next", corrupted)
    with pytest.raises(ScenarioFailure, match=r"rand msgs: host 0 expected b'1 the flooooooood 1', got b'garbage'"):
        play(version=version)


def test_an_undelivered_announcement_is_a_failure(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The barrier names a host that has not seen all the others."""
    monkeypatch.setattr(Announcer, "make_hello", lambda self: [])
    with pytest.raises(ScenarioFailure, match=r"barrier: host \d has seen \d of 3 announcements"):
        play(version=version)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hosts": 1}, "hosts: expected a whole number of at least 2, got 1"),
        ({"messages": 0}, "messages: expected a whole number of at least 1, got 0"),
        (
            {"version": "origin"},
            "version: expected one of baseline, states, direct, states-rpc, lower-bound, got 'origin'",
        ),
        ({"barrier": "yes"}, "barrier: expected true or false, got 'yes'"),
    ],
)
def test_an_unusable_option_is_named(options: dict[str, object], message: str) -> None:
    """Before anything runs."""
    with pytest.raises(OptionError, match=message):
        play(**options)
