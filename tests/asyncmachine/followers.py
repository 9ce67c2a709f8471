"""A tracer that makes a machine take the way it has when every step is observed."""

from __future__ import annotations

from asyncmachine import Tracer, Transition


class Follower(Tracer):
    """Wants to know every step, so that each is announced."""

    def transition_start(self, tx: Transition) -> None:
        assert not tx.completed
