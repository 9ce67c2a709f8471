"""What holds of scores, whatever happens."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pubsub_sim.protocol.validation import Reason
from tests.protocol.clocks import S, message_from
from tests.protocol.scores import (
    COLOCATION,
    FAILURE,
    FIRST,
    INVALID,
    MESH,
    TIME_IN_MESH,
    TOPIC,
    A,
    B,
    Bench,
    C,
    topic_params,
)

FULL = topic_params(
    TIME_IN_MESH,
    FIRST,
    MESH,
    FAILURE,
    INVALID,
    first_message_deliveries_decay=0.5,
    mesh_message_deliveries_decay=0.5,
    mesh_failure_penalty_decay=0.5,
    invalid_message_deliveries_decay=0.5,
)
peers = st.sampled_from([A, B, C])
numbers = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.sampled_from(["add", "remove", "graft", "prune", "penalty"]), peers),
    st.tuples(st.sampled_from(["validate", "deliver", "duplicate"]), peers, numbers),
    st.tuples(st.just("reject"), peers, numbers, st.sampled_from(list(Reason))),
    st.tuples(st.just("time"), st.integers(0, 3 * S)),
)


def play(bench: Bench, step: tuple[object, ...]) -> None:
    kind, *rest = step
    scores = bench.scores
    if kind == "time":
        bench.clock.advance(rest[0])
        bench.refresh()
        scores.refresh_ips()
        return
    peer = rest[0]
    message = message_from(peer, rest[1]) if len(rest) > 1 else message_from(peer, 0)
    calls: dict[str, Callable[[], None]] = {
        "add": lambda: scores.add_peer(peer, "myproto"),
        "remove": lambda: scores.remove_peer(peer),
        "graft": lambda: scores.graft(peer, TOPIC),
        "prune": lambda: scores.prune(peer, TOPIC),
        "penalty": lambda: scores.add_penalty(peer, 1),
        "validate": lambda: scores.validate_message(message),
        "deliver": lambda: scores.deliver_message(message),
        "duplicate": lambda: scores.duplicate_message(message.id, peer),
        "reject": lambda: scores.reject_message(message.wire, peer, rest[2]),
    }
    calls[kind]()


def played(history: list[tuple[object, ...]]) -> Bench:
    bench = Bench(
        FULL,
        A,
        B,
        retain_score_s=2.0,
        addresses=lambda peer: ["1.2.3.4"],
        **COLOCATION,
        behaviour_penalty_weight=-1.0,
        behaviour_penalty_decay=0.5,
    )
    for step in history:
        play(bench, step)
    return bench


@settings(deadline=None, max_examples=150)
@given(st.lists(steps, max_size=40))
def test_a_score_is_a_finite_number_and_the_sum_of_its_parts(history: list[tuple[object, ...]]) -> None:
    """Whatever peers do, in any order; counters never fall below zero or rise above their caps."""
    bench = played(history)
    for peer, snapshot in bench.scores.scores().items():
        assert math.isfinite(bench.of(peer))
        assert snapshot.score == bench.of(peer)
        assert snapshot.score == pytest.approx(snapshot.topic_score + snapshot.p5 + snapshot.p6 + snapshot.p7)
        for topic in snapshot.topics.values():
            assert topic.score == pytest.approx(topic.p1 + topic.p2 + topic.p3 + topic.p3b + topic.p4)
            assert min(topic.p1, topic.p2) >= 0 >= max(topic.p3, topic.p3b, topic.p4)
            assert 0 <= topic.mesh_message_deliveries <= 100
            assert topic.mesh_failure_penalty >= 0


@settings(deadline=None, max_examples=100)
@given(st.lists(steps, max_size=40))
def test_what_was_done_is_forgotten_in_time(history: list[tuple[object, ...]]) -> None:
    """Outside the mesh every counter decays to exactly zero, and who left is forgotten."""
    bench = played(history)
    for peer in (A, B, C):
        bench.scores.prune(peer, TOPIC)
    bench.clock.advance(3 * S)
    bench.refresh(30)
    for snapshot in bench.scores.scores().values():
        assert snapshot.is_connected
        assert snapshot.behaviour_penalty == 0
        for topic in snapshot.topics.values():
            assert topic.first_message_deliveries == 0
            assert topic.mesh_message_deliveries == 0
            assert topic.mesh_failure_penalty == 0
            assert topic.invalid_message_deliveries == 0
