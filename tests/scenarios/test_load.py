"""The scenario under load: its two loops, its accounts, and what it calls a failure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest

from pubsub_sim import HostParams, LinkModel, OptionError, World, run
from pubsub_sim.errors import OptionConflict, ScenarioFailure
from pubsub_sim.ids import PeerId
from pubsub_sim.node.streams import OutboundQueue
from pubsub_sim.node.topic import Subscription
from pubsub_sim.protocol.options import HostOptions
from pubsub_sim.protocol.validation import Validator
from pubsub_sim.scenarios.load import PHASES, Load, LoadOutcome, load
from pubsub_sim.scenarios.load_hosts import Drops
from pubsub_sim.scenarios.load_ledger import Ledger, Window, quantile
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.sealed import Frame, as_encoded

MS = 1_000_000
LINK = LinkModel(latency_s=0.001)


def play(
    version: str = "baseline",
    *,
    world: dict[str, Any] | None = None,
    loop: str | None = None,
    phase: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    **options: Any,
) -> LoadOutcome:
    """On the virtual clock over links of a millisecond, or on a loop of wall time."""
    given = Load(version=version, **{"sign": "none", "duration_s": 0.2, "warmup_s": 0.05} | options)
    make_world = World if loop else partial(World, **{"link": LINK} | (world or {}))
    return run(load(given, phase, make_world), clock="wall" if loop else "virtual", loop=loop)


def slow_publisher(slow: int, seconds: float) -> Callable[[int], HostOptions]:
    """Give the options of hosts, of which one takes so long to accept a message of its own."""
    peer_ids = World(slow + 1, seed=1).peer_ids

    def options_of(number: int) -> HostOptions:
        async def wait(peer: PeerId, message: Message) -> bool:
            if number == slow and peer == peer_ids[slow]:
                await asyncio.sleep(seconds)
            return True

        return HostOptions(default_validators=(Validator(function=wait),))

    return options_of


def test_the_phases_are_entered_in_order(version: str) -> None:
    """Each once."""
    entered: list[str] = []

    @contextmanager
    def phase(name: str) -> Any:
        entered.append(name)
        yield

    play(version, phase=phase, rate=100)
    assert tuple(entered) == PHASES


@pytest.mark.parametrize("router", ["floodsub", "gossipsub"])
@pytest.mark.parametrize("sign", ["strict", "none"])
def test_in_an_open_loop_every_message_is_delivered_once_to_each(version: str, router: str, sign: str) -> None:
    """As many as a Poisson process of this rate has, by chance; each a link's latency after it was due."""
    outcome = play(version, rate=400, router=router, sign=sign, hosts=4)
    assert 60 <= outcome.sent <= 140
    assert outcome.delivered == 4 * outcome.sent
    assert outcome.drops == Drops(0, 0, 0, 0)
    assert sum(outcome.offered_by) * 3 == len(outcome.latencies_ns)
    assert set(outcome.latencies_ns) == {MS}
    assert outcome.longest_backlog == 0


def test_in_a_closed_loop_the_throughput_follows_from_the_messages_in_flight(version: str) -> None:
    """Little's law: messages in flight over the time that each takes; equal for all publishers."""
    outcome = play(version, in_flight=3, hosts=5, publishers=4, duration_s=0.02, warmup_s=0.01)
    assert outcome.most_in_flight == 3 * 4
    assert sum(outcome.completed_by) / (outcome.window_ns / 1e9) == 3 * 4 / 0.001
    assert len(set(outcome.completed_by)) == 1
    assert len(outcome.completed_by) == 4


@pytest.mark.parametrize("kind", [{"rate": 700.0}, {"in_flight": 4}])
@pytest.mark.parametrize("seed", range(3))
def test_all_versions_have_the_same_outcome(kind: dict[str, Any], seed: int) -> None:
    """Deliveries, drops, latencies and queues, message by message, with queues that overflow and links that are slow."""
    world = {
        "link": LinkModel(latency_s=0.001, jitter=0.5, bandwidth_bps=300_000),
        "params": HostParams(subscription_buffer=2, outbound_queue_size=1),
    }
    baseline, *others = (play(name, seed=seed, world=world, **kind) for name in ("baseline", "states", "direct"))
    assert others == [baseline, baseline]


def test_latency_counts_from_when_a_message_was_due(version: str) -> None:
    """A publisher that is slower than its schedule is late with each message by more: nothing is omitted."""
    outcome = play(version, rate=200, publishers=1, duration_s=1.0, world={"options": slow_publisher(0, 0.010)})
    behind = sum(outcome.offered_by) - 100
    assert behind > 50
    assert outcome.longest_backlog >= behind
    assert outcome.latencies_ns[-1] > behind * 10 * MS
    assert quantile(outcome.latencies_ns, 0.5) > behind / 2 * 10 * MS * 0.8


def test_an_unfair_share_is_seen_per_publisher(version: str) -> None:
    """A publisher that takes ten times as long completes a tenth of the messages, and takes nothing from the others."""
    outcome = play(version, in_flight=1, hosts=3, duration_s=0.4, world={"options": slow_publisher(1, 0.009)})
    assert outcome.completed_by == (400, 40, 400)


# --- drops -------------------------------------------------------------------------------------------------------


class Watched:
    """Makes a world whose trace can be read after the run."""

    def __init__(self, **world: Any) -> None:
        self._world = {"link": LINK, "trace": True} | world
        self.made: list[World] = []

    def __call__(self, *hosts: Any, **options: Any) -> World:
        self.made.append(World(*hosts, **options | self._world))
        return self.made[0]

    def events(self) -> Counter[str]:
        """Count the events by kind; refused messages by their reason."""
        return Counter(
            str(event.detail) if event.kind == "reject_message" else event.kind for event in self.made[0].trace
        )


def played(watched: Watched, version: str, **options: Any) -> LoadOutcome:
    given = Load(version=version, **{"sign": "none", "duration_s": 0.1, "warmup_s": 0.0} | options)
    return run(load(given, lambda _: nullcontext(), watched), clock="virtual")


def test_drops_of_full_subscriptions_are_counted_exactly(version: str) -> None:
    """As many as the hosts' own trace has, and as many as are missing."""
    watched = Watched(params=HostParams(subscription_buffer=2))
    outcome = played(watched, version, in_flight=4, hosts=3)
    dropped = watched.events()["undeliverable_message"]
    assert dropped > 0
    assert outcome.drops == Drops(dropped, 0, 0, 0)
    assert outcome.delivered == 3 * outcome.sent - dropped
    assert outcome.longest_queue == 2
    assert outcome.given_up > 0


def test_copies_lost_to_full_outbound_queues_are_counted_exactly(version: str) -> None:
    """Those that the trace has; with two hosts there is no other way, so each is a delivery that is missing."""
    watched = Watched(link=LinkModel(latency_s=0.001, bandwidth_bps=100_000), params=HostParams(outbound_queue_size=1))
    outcome = played(watched, version, rate=4000, hosts=2, publishers=1, duration_s=0.3)
    lost = watched.events()["drop_rpc"]
    assert lost > 0
    assert outcome.drops == Drops(0, lost, lost, 0)


def test_copies_lost_to_full_validation_queues_are_counted_exactly(version: str) -> None:
    """Those that the trace has; signed messages wait for the check of their signature."""
    watched = Watched(params=HostParams(validate_queue_size=1))
    outcome = played(watched, version, in_flight=4, hosts=2, publishers=1, sign="strict")
    refused = watched.events()["validation queue full"]
    assert refused > 0
    assert outcome.drops == Drops(0, refused, 0, refused)


# --- failures ----------------------------------------------------------------------------------------------------


def test_a_message_that_is_read_twice_is_a_failure(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Host and message are named."""
    read = Subscription.next
    last: list[Message] = []

    async def again(self: Subscription) -> Message:
        message = await read(self)
        last.append(message)
        return last[0] if len(last) > 40 and message.data != b"first message" else message

    monkeypatch.setattr(Subscription, "next", again)
    with pytest.raises(ScenarioFailure, match=r"load: host \d read b'first message', which nobody has sent"):
        play(version, rate=400, hosts=3)
    last[:] = []

    async def twice(self: Subscription) -> Message:
        message = await read(self)
        if len(last) == 10 and last[9].data != b"first message":
            return last[9]
        last.append(message)
        return message

    monkeypatch.setattr(Subscription, "next", twice)
    with pytest.raises(ScenarioFailure, match=r"load: host \d read message \d twice"):
        play(version, in_flight=1, hosts=2, publishers=1)


def test_a_delivery_that_is_missing_without_a_full_queue_is_a_failure(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that had the message and did not hand it over has no excuse."""
    offer = Subscription.offer

    def lose_one(self: Subscription, message: Message) -> bool:
        return message.data.startswith(b"\0\0\0\0\0\0\0\5") or offer(self, message)

    monkeypatch.setattr(Subscription, "offer", lose_one)
    with pytest.raises(
        ScenarioFailure, match="subscriptions dropped 0 messages, and 4 that hosts had accepted are missing"
    ):
        play(version, rate=400, hosts=4)


def test_a_message_that_never_came_without_a_full_queue_is_a_failure(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that loses a message although it has room has no excuse."""
    push = OutboundQueue.push

    def lose_one(self: OutboundQueue, frame: Frame) -> bool:
        return b"\0\0\0\0\0\0\0\5" in as_encoded(frame) or push(self, frame)

    monkeypatch.setattr(OutboundQueue, "push", lose_one)
    with pytest.raises(ScenarioFailure, match="drain: 3 deliveries are missing, and no queue was full"):
        play(version, rate=400, hosts=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "rate: expected a rate above 0, or messages in flight (in_flight), got 0.0"),
        ({"rate": -1.0}, "rate: expected a number of at least 0, got -1.0"),
        ({"rate": 1.0, "payload_bytes": 4}, "payload_bytes: expected a whole number of at least 8, got 4"),
        ({"rate": 1.0, "router": "randomsub"}, "router: expected one of floodsub, gossipsub, got 'randomsub'"),
        ({"rate": 1.0, "duration_s": 0}, "duration_s: expected a number of seconds above 0, got 0"),
        ({"rate": 1.0, "duration_s": 90.0}, "duration_s: expected a number of at least 0 and at most 60, got 90.0"),
        ({"rate": 1.0, "hosts": 1}, "hosts: expected a whole number of at least 2, got 1"),
    ],
)
def test_an_unusable_option_is_named(options: dict[str, Any], message: str) -> None:
    """Before anything runs."""
    with pytest.raises(OptionError) as caught:
        Load(version="baseline", **options)
    assert str(caught.value) == message
    assert not isinstance(caught.value, OptionConflict)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 1.0, "in_flight": 1}, "in_flight=1 cannot be used with rate=1.0: a loop is either open or closed"),
        ({"rate": 1.0, "publishers": 6}, "publishers=6 cannot be used with hosts=5: publishers are hosts"),
        (
            {"rate": 1.0, "version": "lower-bound", "router": "gossipsub"},
            "router='gossipsub' cannot be used with version='lower-bound': it only floods, in memory or over TCP",
        ),
        (
            {"rate": 1.0, "version": "lower-bound", "transport": "libp2p"},
            "transport='libp2p' cannot be used with version='lower-bound': it only floods, in memory or over TCP",
        ),
    ],
)
def test_options_that_exclude_each_other_are_named(options: dict[str, Any], message: str) -> None:
    """Both, and why."""
    with pytest.raises(OptionConflict) as caught:
        Load(**{"version": "baseline"} | options)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["baseline", "states", "lower-bound"])
def test_a_closed_loop_needs_links_that_take_time(name: str) -> None:
    """On the virtual clock it would send for ever at one moment."""
    with pytest.raises(OptionConflict, match="in_flight=1 cannot be used with clock='virtual'"):
        play(name, in_flight=1, world={"link": None})


# --- the lower bound, and wall time ------------------------------------------------------------------------------


def test_the_lower_bound_takes_the_same_load() -> None:
    """The same messages at the same moments; it has no limits and drops nothing."""
    bound, baseline = (play(name, rate=400, world={"link": None}) for name in ("lower-bound", "baseline"))
    assert bound.offered_by == baseline.offered_by
    assert (bound.sent, bound.delivered, bound.drops) == (baseline.sent, baseline.delivered, baseline.drops)


@pytest.mark.parametrize("name", ["baseline", "states", "direct", "lower-bound"])
@pytest.mark.parametrize("kind", [{"rate": 300.0}, {"in_flight": 2}])
@pytest.mark.parametrize("transport", ["memory", "tcp"])
def test_on_wall_time_the_accounts_add_up(name: str, kind: dict[str, Any], transport: str) -> None:
    """In memory and over sockets: each delivery is made or has a reason."""
    outcome = play(name, loop="asyncio", transport=transport, hosts=3, duration_s=0.1, **kind)
    assert outcome.sent > 0
    assert outcome.delivered + outcome.drops.subscription + outcome.drops.on_the_way == 3 * outcome.sent
    assert len(outcome.latencies_ns) <= 2 * sum(outcome.offered_by)


def test_it_plays_over_libp2p(version: str) -> None:
    """With Noise and yamux every message is delivered as well."""
    outcome = play(version, loop="asyncio", transport="libp2p", hosts=3, rate=100.0, duration_s=0.2)
    assert outcome.delivered == 3 * outcome.sent


# --- the ledger --------------------------------------------------------------------------------------------------


def test_the_ledger_computes_from_times_alone() -> None:
    """Two publishers, three hosts; a message that one host never got is not complete and has two latencies at most."""
    time = [0]
    ledger = Ledger(3, 2, 8, lambda: time[0])
    for due_ns, publisher, delivered_ns in (
        (10, 0, (10, 20, 30)),
        (15, 1, (40, 16, 50)),
        (60, 1, (70, 61, None)),
    ):
        number = ledger.begin(publisher, due_ns)
        time[0] = due_ns + 5
        ledger.accepted(number, b"%d" % number)
        for host, at_ns in enumerate(delivered_ns):
            if at_ns is not None:
                time[0] = at_ns
                ledger.delivered(host, ledger.payload(number), 0)
    window = Window(10, 45)
    assert list(ledger.latencies_ns(window)) == [10, 20, 25, 35]
    assert list(ledger.latencies_ns(Window(45, 100))) == [10]
    assert ledger.offered_by(window) == (1, 1)
    assert ledger.completed_by(window) == (1, 0)
    assert list(ledger.missing()) == [(2, 2)]
    assert (ledger.most_in_flight(), ledger.longest_backlog()) == (2, 1)


@pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.9, 9), (0.91, 10), (0.99, 10), (1.0, 10), (0.01, 1)])
def test_quantiles_are_those_of_the_nearest_rank(share: float, value: int) -> None:
    """The least value that a share of all values does not exceed."""
    assert quantile(list(range(1, 11)), share) == value
