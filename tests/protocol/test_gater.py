"""The peer gater: the reference's unit test (GT01), and its rules one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pubsub_sim.errors import OptionError
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gater import PeerGater, PeerGaterParams
from pubsub_sim.protocol.router import Acceptance
from pubsub_sim.protocol.validation import Reason
from tests.protocol.clocks import HandClock, S, message_from

A, B = PeerId(b"A"), PeerId(b"B")
IP = "1.2.3.4"
PARAMS = PeerGaterParams(threshold=0.1, global_decay=0.9, source_decay=0.999)


class Bench:
    """A gater of peers behind one address, with a clock moved by hand."""

    def __init__(self, params: PeerGaterParams = PARAMS, **options: Any) -> None:
        self.clock = HandClock()
        options.setdefault("addresses", lambda peer: [IP])
        self.gater = PeerGater(params, now_ns=self.clock, rng=random.Random(1), **options)

    def add(self, *peers: PeerId) -> None:
        for peer in peers:
            self.gater.add_peer(peer, "myproto")

    def reject(self, peer: PeerId, reason: Reason, times: int = 1) -> None:
        for _ in range(times):
            self.gater.reject_message(message_from(peer, 1).wire, peer, reason)

    def answers(self, peer: PeerId, times: int = 1000) -> set[Acceptance]:
        return {self.gater.accept_from(peer) for _ in range(times)}


def test_gt01_a_peer_is_gated_by_its_record_while_messages_are_lost() -> None:
    """The course of the reference's test, in its order."""
    bench = Bench()
    gater = bench.gater
    bench.add(A)
    assert gater.accept_from(A) is Acceptance.ALL
    gater.validate_message(message_from(A, 1))
    assert gater.accept_from(A) is Acceptance.ALL
    bench.reject(A, Reason.QUEUE_FULL)
    assert gater.accept_from(A) is Acceptance.ALL
    bench.reject(A, Reason.THROTTLED)
    assert gater.accept_from(A) is Acceptance.ALL
    bench.reject(A, Reason.IGNORED, 100)
    bench.reject(A, Reason.FAILED, 100)
    assert Acceptance.CONTROL in bench.answers(A)
    for number in range(100):
        gater.deliver_message(message_from(A, number))
    assert Acceptance.ALL in bench.answers(A)
    for _ in range(100):
        gater.decay(bench.clock())
    assert bench.answers(A) == {Acceptance.ALL}

    gater.remove_peer(A)
    assert gater.sources[IP].connected == 0
    bench.clock.advance(6 * 3600 * S)
    gater.decay(bench.clock())
    assert list(gater.sources) == [IP]
    bench.clock.advance(1)
    gater.decay(bench.clock())
    assert list(gater.sources) == []


def gated_bench(params: PeerGaterParams = PARAMS, **options: Any) -> Bench:
    """A is behind an overloaded host's gate with a bad record."""
    bench = Bench(params, **options)
    bench.add(A)
    bench.reject(A, Reason.FAILED, 1000)
    bench.reject(A, Reason.QUEUE_FULL, 10)
    return bench


def test_a_quiet_minute_opens_the_gate() -> None:
    """No message was lost for longer than that."""
    bench = gated_bench()
    bench.clock.advance(60 * S)
    assert Acceptance.CONTROL in bench.answers(A)
    bench.clock.advance(1)
    assert bench.answers(A) == {Acceptance.ALL}


def test_few_lost_messages_for_those_validated_open_the_gate() -> None:
    """10 lost of 100 validated are at the threshold of 0.1, of 101 below it."""
    bench = gated_bench()
    for number in range(100):
        bench.gater.validate_message(message_from(A, number))
    assert Acceptance.CONTROL in bench.answers(A)
    bench.gater.validate_message(message_from(A, 100))
    assert bench.answers(A) == {Acceptance.ALL}


def test_a_peer_without_a_record_passes() -> None:
    """Nothing is known against it."""
    bench = gated_bench(addresses=lambda peer: [f"1.2.3.{peer[0]}"])
    bench.add(B)
    assert bench.answers(B) == {Acceptance.ALL}


def test_the_chance_to_pass_is_the_share_of_what_was_useful() -> None:
    """(1 + 9) / (1 + 9 + 8 / 8 + 2 + 16) is 10 / 29."""
    bench = Bench()
    bench.add(A)
    bench.reject(A, Reason.THROTTLED)
    for number in range(9):
        bench.gater.deliver_message(message_from(A, number))
    for _ in range(8):
        bench.gater.duplicate_message(b"id", A)
    bench.reject(A, Reason.IGNORED, 2)
    bench.reject(A, Reason.FAILED)
    answers = [bench.gater.accept_from(A) for _ in range(10_000)]
    assert answers.count(Acceptance.ALL) / 10_000 == pytest.approx(10 / 29, abs=0.03)


def test_nobody_is_shut_out_for_good() -> None:
    """Who delivered nothing and sent one bad message passes once in 17 times."""
    bench = Bench()
    bench.add(A)
    bench.reject(A, Reason.THROTTLED)
    bench.reject(A, Reason.FAILED)
    answers = [bench.gater.accept_from(A) for _ in range(10_000)]
    assert answers.count(Acceptance.ALL) / 10_000 == pytest.approx(1 / 17, abs=0.02)


def test_peers_behind_one_address_share_their_record() -> None:
    """A new name does not help, and the record stays while one of them is there."""
    bench = gated_bench()
    bench.add(B)
    bench.gater.remove_peer(A)
    assert Acceptance.CONTROL in bench.answers(B)
    bench.clock.advance(100 * 3600 * S)
    bench.gater.decay(bench.clock())
    assert bench.gater.sources[IP].connected == 1


@pytest.mark.parametrize("addresses", [None, lambda peer: ()])
def test_a_peer_without_an_address_has_a_record_of_its_own(addresses: Any) -> None:
    """It does not answer for others whose address is not known."""
    bench = gated_bench(addresses=addresses)
    bench.add(B)
    assert Acceptance.CONTROL in bench.answers(A)
    assert bench.answers(B) == {Acceptance.ALL}


def test_what_comes_from_a_peer_that_is_gone_leaves_nothing_for_good() -> None:
    """A late duplicate counts for its address, which is forgotten in time; a second removal is harmless."""
    bench = Bench()
    bench.add(A)
    bench.gater.remove_peer(A)
    bench.gater.remove_peer(A)
    bench.gater.duplicate_message(b"id", A)
    assert (bench.gater.sources[IP].connected, bench.gater.sources[IP].duplicates) == (0, 1)
    bench.clock.advance(7 * 3600 * S)
    bench.gater.decay(bench.clock())
    assert list(bench.gater.sources) == []


def test_deliveries_count_by_topic() -> None:
    """A weight of 0, like none, is 1."""
    bench = Bench(PeerGaterParams(topic_delivery_weights={"dear": 3.0, "zero": 0.0}))
    bench.add(A)
    for topic in ("dear", "zero", "other"):
        bench.gater.deliver_message(message_from(A, 1, topic=topic))
    assert bench.gater.sources[IP].deliveries == 5


def test_every_count_decays_to_zero() -> None:
    """Those of the host and those of a source that has peers."""
    bench = gated_bench(PeerGaterParams(global_decay=0.5, source_decay=0.5))
    bench.gater.validate_message(message_from(A, 1))
    bench.gater.duplicate_message(b"id", A)
    bench.gater.deliver_message(message_from(A, 1))
    bench.reject(A, Reason.IGNORED)
    for _ in range(20):
        bench.gater.decay(bench.clock())
    source = bench.gater.sources[IP]
    assert (source.deliveries, source.duplicates, source.ignored, source.rejected) == (0, 0, 0, 0)
    assert (bench.gater.validated, bench.gater.throttled) == (0, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 0.0),
        ("global_decay", 1.0),
        ("source_decay", 0.0),
        ("decay_interval_s", 0.9),
        ("decay_to_zero", 1.0),
        ("retain_stats_s", -1.0),
        ("quiet_s", 0.5),
        ("duplicate_weight", 0.0),
        ("ignore_weight", 0.9),
        ("reject_weight", float("nan")),
        ("topic_delivery_weights", {"t": -1.0}),
    ],
)
def test_a_parameter_out_of_its_range_is_an_error(name: str, value: Any) -> None:
    """Naming the field."""
    with pytest.raises(OptionError, match=name):
        PeerGaterParams(**{name: value})
