"""A topic of the simulation and its machine `sim-<topic>`.

Membership is stored by the peers only. Pipes of their machines forward events; the negotiation handlers here decide on the
topic's states from the current membership. A topic without messages for a while becomes inactive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from asyncmachine import Event, Machine
from pubsub_sim.simulator.schemas import TopicStates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pubsub_sim.net.clock import LoopClock
    from pubsub_sim.simulator.accounts import Ledger, Member
    from pubsub_sim.simulator.options import SimOptions

TOPIC = "Topic.id"
"""The argument that names a topic."""
PEER = "Peer.id"
"""The argument that names a peer."""


class TopicScene(Protocol):
    """The interface of the simulation to its topics."""

    clock: LoopClock
    options: SimOptions
    ledger: Ledger

    def members(self, topic: str) -> Sequence[Member]:
        """Return the members of a topic."""


class Topic:
    """A topic, and the handlers of its machine.

    Args:
        scene: the simulation.
        name: its name.
        tracers: tracers of the machine.

    Attributes:
        name: its name.
        machine: the machine `sim-<name>`.
    """

    def __init__(self, scene: TopicScene, name: str, tracers: Sequence[object]) -> None:
        self.name = name
        self._scene = scene
        self.machine = Machine(TopicStates, id=f"sim-{name}", handlers=self, tracers=tracers)
        self.machine.add(TopicStates.Stale)

    @property
    def size(self) -> int:
        """Number of its peers."""
        return len(self._scene.members(self.name))

    @property
    def quiet_at_ns(self) -> int:
        """The time at which it ceases to be active."""
        last_ns = self._scene.ledger.last_sent_ns.get(self.name)
        return -1 if last_ns is None else last_ns + round(self._scene.options.active_window_s * 1e9)

    def HasPeersEnter(self, e: Event) -> bool:
        return self.size > 0

    def HasPeersExit(self, e: Event) -> bool:
        return not self.size

    def PeakingEnter(self, e: Event) -> bool:
        return self.size >= self._scene.options.peers_per_topic

    def PeakingExit(self, e: Event) -> bool:
        return self.size < self._scene.options.peers_per_topic

    def ActiveEnter(self, e: Event) -> bool:
        return self._scene.clock.now_ns() < self.quiet_at_ns

    async def ActiveState(self, e: Event) -> None:
        """Wait until the topic has been without messages for the active window, which each message restarts."""
        clock = self._scene.clock
        while (rest_ns := self.quiet_at_ns - clock.now_ns()) > 0:
            await clock.sleep(rest_ns / 1e9)
        e.remove(TopicStates.Active)
