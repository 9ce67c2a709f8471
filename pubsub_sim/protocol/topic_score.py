"""The score of one peer in one topic, P1 to P4 of the peer score: counters, their decay and their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.protocol.score_params import TopicScoreParams


class TopicScore:
    """The counters of one peer in one topic.

    Args:
        params: weights, caps and thresholds of the topic.

    Attributes:
        is_in_mesh: whether the peer is in the mesh.
        mesh_time_ns: its time in the mesh, as of the last decay.
        first_deliveries: P2, first deliveries of messages.
        mesh_deliveries: P3, deliveries while in the mesh, first or within the window.
        is_active: P3, whether the activation time has passed; kept when the peer leaves the mesh.
        mesh_failures: P3b, squared deficits at leaving the mesh.
        invalid_deliveries: P4, invalid messages.

    Source: go-libp2p-pubsub `topicStats` and the `mark...` functions of `score.go`.
    """

    __slots__ = (
        "_grafted_ns",
        "_params",
        "first_deliveries",
        "invalid_deliveries",
        "is_active",
        "is_in_mesh",
        "mesh_deliveries",
        "mesh_failures",
        "mesh_time_ns",
    )

    def __init__(self, params: TopicScoreParams) -> None:
        self._params = params
        self._grafted_ns = 0
        self.is_in_mesh = False
        self.mesh_time_ns = 0
        self.first_deliveries = 0.0
        self.mesh_deliveries = 0.0
        self.is_active = False
        self.mesh_failures = 0.0
        self.invalid_deliveries = 0.0

    def components(self) -> tuple[float, float, float, float, float]:
        """Return P1, P2, P3, P3b and P4, each times its weight, without the weight of the topic."""
        params = self._params
        p1 = p3 = 0.0
        if self.is_in_mesh and params.quantum_ns:
            p1 = min(self.mesh_time_ns // params.quantum_ns, params.time_in_mesh_cap) * params.time_in_mesh_weight
        if self.is_active:
            deficit = params.mesh_message_deliveries_threshold - self.mesh_deliveries
            if deficit > 0:
                p3 = deficit * deficit * params.mesh_message_deliveries_weight
        return (
            p1,
            self.first_deliveries * params.first_message_deliveries_weight,
            p3,
            self.mesh_failures * params.mesh_failure_penalty_weight,
            self.invalid_deliveries * self.invalid_deliveries * params.invalid_message_deliveries_weight,
        )

    def score(self) -> float:
        """Return the sum of the components times the weight of the topic."""
        return sum(self.components()) * self._params.topic_weight

    def graft(self, now_ns: int) -> None:
        """Note that the peer was added to the mesh."""
        self.is_in_mesh = True
        self._grafted_ns = now_ns
        self.mesh_time_ns = 0
        self.is_active = False

    def prune(self) -> None:
        """Note that the peer was removed from the mesh; a deficit is kept."""
        if self.is_active:
            deficit = self._params.mesh_message_deliveries_threshold - self.mesh_deliveries
            if deficit > 0:
                self.mesh_failures += deficit * deficit
        self.is_in_mesh = False

    def disconnect(self) -> None:
        """Clear the positive counters of a disconnected peer whose score is retained; a deficit is kept."""
        self.first_deliveries = 0.0
        if self.is_in_mesh:
            self.prune()

    def leave(self) -> None:
        """Clear the positive counters and expectations of a peer that left the topic; a deficit is kept."""
        self.disconnect()
        self.is_active = False
        self.mesh_deliveries = 0.0

    @property
    def owes(self) -> bool:
        """Whether the peer has negative counters: mesh failures or invalid messages."""
        return self.mesh_failures > 0 or self.invalid_deliveries > 0

    def bring_first(self) -> None:
        """Credit the first delivery of a valid message."""
        params = self._params
        self.first_deliveries = min(self.first_deliveries + 1, params.first_message_deliveries_cap)
        if self.is_in_mesh:
            self.mesh_deliveries = min(self.mesh_deliveries + 1, params.mesh_message_deliveries_cap)

    def bring_again(self, late_ns: int) -> None:
        """Credit a further delivery of a valid message.

        Args:
            late_ns: time after its validation; 0 for before it.
        """
        params = self._params
        if self.is_in_mesh and late_ns <= params.window_ns:
            self.mesh_deliveries = min(self.mesh_deliveries + 1, params.mesh_message_deliveries_cap)

    def decay(self, now_ns: int, to_zero: float) -> None:
        """Decay the counters after one interval."""
        params = self._params
        first = self.first_deliveries * params.first_message_deliveries_decay
        mesh = self.mesh_deliveries * params.mesh_message_deliveries_decay
        failures = self.mesh_failures * params.mesh_failure_penalty_decay
        invalid = self.invalid_deliveries * params.invalid_message_deliveries_decay
        self.first_deliveries = first if first >= to_zero else 0.0
        self.mesh_deliveries = mesh if mesh >= to_zero else 0.0
        self.mesh_failures = failures if failures >= to_zero else 0.0
        self.invalid_deliveries = invalid if invalid >= to_zero else 0.0
        if self.is_in_mesh:
            self.mesh_time_ns = now_ns - self._grafted_ns
            if self.mesh_time_ns > params.activation_ns:
                self.is_active = True

    def use(self, params: TopicScoreParams) -> None:
        """Set the parameters from now on; counters above a lower cap are reduced to it."""
        old, self._params = self._params, params
        is_capped = (
            params.first_message_deliveries_cap < old.first_message_deliveries_cap
            or params.mesh_message_deliveries_cap < old.mesh_message_deliveries_cap
        )
        if is_capped:
            self.first_deliveries = min(self.first_deliveries, params.first_message_deliveries_cap)
            self.mesh_deliveries = min(self.mesh_deliveries, params.mesh_message_deliveries_cap)
