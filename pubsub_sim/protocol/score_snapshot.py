"""Snapshots of a peer's score: its parts by name, for inspection (go-libp2p-pubsub `PeerScoreSnapshot`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.protocol.topic_score import TopicScore


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicSnapshot:
    """The score of a peer in one topic.

    Attributes:
        score: contribution of the topic, including its weight.
        p1: time in mesh, weighted; likewise p2 first deliveries, p3 mesh deliveries, p3b mesh failures, p4 invalid
            messages. Their sum times the topic's weight is `score`.
        time_in_mesh_s: as of the last refresh; 0 outside the mesh.
        first_message_deliveries: counter of P2.
        mesh_message_deliveries: counter of P3.
        mesh_failure_penalty: counter of P3b.
        invalid_message_deliveries: counter of P4.
    """

    score: float
    p1: float
    p2: float
    p3: float
    p3b: float
    p4: float
    time_in_mesh_s: float
    first_message_deliveries: float
    mesh_message_deliveries: float
    mesh_failure_penalty: float
    invalid_message_deliveries: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PeerSnapshot:
    """The score of a peer.

    Attributes:
        score: the sum of `topic_score`, p5, p6 and p7.
        topics: snapshots by topic.
        topic_score: the topics together, capped.
        p5: the application's score, weighted; likewise p6 IP colocation, p7 behaviour.
        app_specific_score: as returned by the application.
        ip_colocation_factor: squared surplus of peers on the peer's addresses.
        behaviour_penalty: counter of P7.
        is_connected: False for a peer whose score is retained.
    """

    score: float
    topics: Mapping[str, TopicSnapshot]
    topic_score: float
    p5: float
    p6: float
    p7: float
    app_specific_score: float
    ip_colocation_factor: int
    behaviour_penalty: float
    is_connected: bool


def snapshot_of(topic: TopicScore) -> TopicSnapshot:
    """Return a topic's counters and their weighted values."""
    p1, p2, p3, p3b, p4 = topic.components()
    return TopicSnapshot(
        score=topic.score(),
        p1=p1,
        p2=p2,
        p3=p3,
        p3b=p3b,
        p4=p4,
        time_in_mesh_s=topic.mesh_time_ns / 1e9 if topic.is_in_mesh else 0.0,
        first_message_deliveries=topic.first_deliveries,
        mesh_message_deliveries=topic.mesh_deliveries,
        mesh_failure_penalty=topic.mesh_failures,
        invalid_message_deliveries=topic.invalid_deliveries,
    )
