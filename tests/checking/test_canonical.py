"""The form of a trace that two versions must share, and where two of them part."""

from __future__ import annotations

from pubsub_sim.checking.canonical import canonical, in_words, parting
from pubsub_sim.wire.codec import encode_subscriptions
from pubsub_sim.world.trace import TraceEvent

A, B = b"a" * 32, b"b" * 32
SUBSCRIBE = encode_subscriptions(("t",), subscribe=True)
UNSUBSCRIBE = encode_subscriptions(("t",), subscribe=False)


def event(time_ns: int, host: int = 0, kind: str = "graft", peer: bytes = A, detail: bytes | str = "t") -> TraceEvent:
    return TraceEvent(time_ns, host, kind, peer, detail)


def test_turns_within_an_instant_may_be_taken_in_any_order() -> None:
    """Of different hosts, with different peers, and of different kinds."""
    events = [event(5, 1), event(5, peer=B), event(5), event(5, kind="join", peer=b"")]
    assert canonical(events, 0) == canonical(list(reversed(events)), 0)


def test_what_one_stream_carries_stays_in_order() -> None:
    """Also within an instant: announcing before grafting is not grafting before announcing."""
    events = [event(5, kind="send_rpc", detail=SUBSCRIBE), event(5, kind="send_rpc", detail=UNSUBSCRIBE)]
    assert canonical(events, 0) == events
    assert canonical(list(reversed(events)), 0) != canonical(events, 0)


def test_time_decides_between_instants() -> None:
    """A nanosecond is enough."""
    assert [e.kind for e in canonical([event(7, kind="prune"), event(8)], 0)] == ["prune", "graft"]


def test_empty_rpcs_are_left_out() -> None:
    """A hello without topics says nothing."""
    assert canonical([event(1, kind="recv_rpc", detail=b""), event(1, kind="recv_rpc", detail=SUBSCRIBE)], 0) == [
        event(1, kind="recv_rpc", detail=SUBSCRIBE)
    ]


def test_time_is_counted_from_the_begin() -> None:
    """Below zero before it."""
    assert [e.time_ns for e in canonical([event(2), event(9)], 5)] == [-3, 4]


def test_equal_traces_do_not_part() -> None:
    """Nor do two that are empty."""
    assert parting([event(1)], [event(1)]) is None
    assert parting([], []) is None


def test_the_first_difference_in_time_is_found() -> None:
    """Not that of the first host; with what both have before it at that host."""
    shared = [event(1, 1), event(2, 1)]
    one = [event(1), event(9), *shared, event(4, 1)]
    other = [event(1), event(8), *shared, event(5, 1)]
    found = parting(one, other)
    assert found is not None
    assert (found.host, found.time_ns, found.before) == (1, 4, tuple(shared))
    assert found.after == ((event(4, 1),), (event(5, 1),))


def test_a_trace_that_ends_early_parts_there() -> None:
    """The same for a host of which one version shows nothing at all."""
    found = parting([event(1), event(2)], [event(1)])
    assert found is not None
    assert (found.time_ns, found.after) == (2, ((event(2),), ()))
    found = parting([], [event(3, 4)])
    assert found is not None
    assert (found.host, found.after) == (4, ((), (event(3, 4),)))


def test_an_event_is_a_line() -> None:
    """With its time, hosts by their numbers, and an RPC's contents."""
    assert in_words(event(1_500_000_000), {A: 3}) == "+1.500000000 s  graft  host 3  t"
    assert in_words(event(-1, kind="send_rpc", detail=SUBSCRIBE), {A: 3}).endswith("send_rpc  host 3  subscribe t")
    many = encode_subscriptions([f"topic {n}" for n in range(50)], subscribe=True)
    line = in_words(event(0, kind="recv_rpc", detail=many), {A: 3})
    assert "subscribe topic 0, subscribe topic 1" in line
    assert line.endswith("...")
