"""A score with a clock the test moves, and parameters made of groups that are scored alone."""

from __future__ import annotations

import math

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.score import PeerScore
from pubsub_sim.protocol.score_params import PeerScoreParams, TopicScoreParams
from pubsub_sim.protocol.validation import Reason
from tests.protocol.clocks import HandClock, message_from

A, B, C, D = (PeerId(name) for name in (b"A", b"B", b"C", b"D"))
TOPIC = "mytopic"
NO_DECAY = math.nextafter(1.0, 0.0)  # a factor of exactly 1 is no decay, and refused
TIME_IN_MESH = {"time_in_mesh_weight": 1.0, "time_in_mesh_quantum_s": 0.001, "time_in_mesh_cap": 3600.0}
FIRST = {
    "first_message_deliveries_weight": 1.0,
    "first_message_deliveries_decay": NO_DECAY,
    "first_message_deliveries_cap": 2000.0,
}
MESH = {
    "mesh_message_deliveries_weight": -1.0,
    "mesh_message_deliveries_activation_s": 1.0,
    "mesh_message_deliveries_window_s": 0.01,
    "mesh_message_deliveries_threshold": 20.0,
    "mesh_message_deliveries_cap": 100.0,
    "mesh_message_deliveries_decay": NO_DECAY,
}
FAILURE = {"mesh_failure_penalty_weight": -1.0, "mesh_failure_penalty_decay": NO_DECAY}
COLOCATION = {"ip_colocation_factor_weight": -1.0, "ip_colocation_factor_threshold": 1}
INVALID = {"invalid_message_deliveries_weight": -1.0, "invalid_message_deliveries_decay": NO_DECAY}


def topic_params(*groups: dict[str, float], weight: float = 1.0, **numbers: float) -> TopicScoreParams:
    values = {name: value for group in groups for name, value in group.items()} | numbers
    return TopicScoreParams(skip_atomic_validation=True, topic_weight=weight, **values)


class Bench:
    """A score of some peers, with a clock moved by hand."""

    def __init__(self, params: TopicScoreParams | None = None, *peers: PeerId, **options: object) -> None:
        addresses = options.pop("addresses", None)
        topics = {} if params is None else {TOPIC: params}
        self.clock = HandClock()
        self.scores = PeerScore(
            PeerScoreParams(skip_atomic_validation=True, topics=topics, **options),
            now_ns=self.clock,
            addresses=addresses,
        )
        for peer in peers:
            self.scores.add_peer(peer, "myproto")

    def graft(self, *peers: PeerId) -> None:
        for peer in peers:
            self.scores.graft(peer, TOPIC)

    def refresh(self, times: int = 1) -> None:
        for _ in range(times):
            self.scores.refresh(self.clock())

    def deliver(self, peer: PeerId, count: int) -> None:
        for number in range(count):
            message = message_from(peer, number)
            self.scores.validate_message(message)
            self.scores.deliver_message(message)

    def reject(self, peer: PeerId, count: int, reason: Reason = Reason.INVALID_SIGNATURE) -> None:
        for number in range(count):
            self.scores.reject_message(message_from(peer, number).wire, peer, reason)

    def of(self, peer: PeerId) -> float:
        return self.scores.score(peer)
