"""What peers announce is noted, forgotten, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.peer_topics import PeerTopics
from pubsub_sim.wire.codec import encode_subscriptions

A, B = PeerId(b"a"), PeerId(b"b")


def test_a_topic_that_all_have_left_is_forgotten() -> None:
    peer_topics = PeerTopics(1000)
    assert peer_topics.add(A, "t")
    assert not peer_topics.add(A, "t")
    assert peer_topics.add(B, "t")
    assert peer_topics.remove(A, "t")
    assert not peer_topics.remove(A, "t")
    assert peer_topics.topics == {"t": {B: None}}
    assert peer_topics.remove(B, "t")
    assert peer_topics.topics == {}


def test_P01_a_peer_that_is_forgotten_is_in_no_topic() -> None:
    peer_topics = PeerTopics(1000)
    for peer, topic in ((A, "a"), (A, "b"), (B, "b"), (B, "c")):
        peer_topics.add(peer, topic)
    assert peer_topics.forget(A) == ["a", "b"]
    assert peer_topics.topics == {"b": {B: None}, "c": {B: None}}
    assert peer_topics.forget(A) == []


def test_a_peer_with_too_many_topics_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Once, and again only if it comes again."""
    peer_topics = PeerTopics(20)
    for _ in range(2):
        assert [peer_topics.add(A, topic) for topic in ("first", "second", "third")] == [True, False, False]
        peer_topics.forget(A)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "take more than 20 bytes (HostParams.announced_frames)" in caplog.text


@given(st.sets(st.text(max_size=200), max_size=30), st.integers(0, 30))
def test_as_many_topics_of_a_peer_are_noted_as_fit_into_its_hello(names: set[str], left: int) -> None:
    """All of them in a hello of just the size allowed, not all in a larger one; what it left makes room."""
    topics = sorted(names)
    limit = len(encode_subscriptions(topics, subscribe=True))
    peer_topics = PeerTopics(limit)
    assert all(peer_topics.add(A, topic) for topic in topics)
    assert not peer_topics.add(A, "one more")
    assert peer_topics.add(B, "one more") == (limit >= len(encode_subscriptions(["one more"], subscribe=True)))
    for topic in topics[:left]:
        peer_topics.remove(A, topic)
    assert all(peer_topics.add(A, topic) for topic in topics[:left])
    peer_topics.forget(A)
    assert all(peer_topics.add(A, topic) for topic in topics)


@pytest.mark.parametrize("size", [0, 1, 100, 123, 124, 125, 126, 127, 128, 16_380, 16_384])
def test_what_a_topic_adds_to_a_hello_is_known_without_encoding_it(size: int) -> None:
    topic = "é" * (size // 2) + "x" * (size % 2)
    assert PeerTopics(len(encode_subscriptions([topic], subscribe=True))).add(A, topic)
    assert not PeerTopics(len(encode_subscriptions([topic], subscribe=True)) - 1).add(A, topic)
