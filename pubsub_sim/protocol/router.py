"""What must a router decide? The port between a host's core and floodsub, randomsub or gossipsub."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC


class Acceptance(enum.Enum):
    """What of a peer's RPC is looked at, beside its subscriptions."""

    NONE = 0
    CONTROL = 1
    ALL = 2


class Router(Protocol):
    """Where messages go. Called inside a turn of the host, never concurrently."""

    @property
    def protocols(self) -> Sequence[str]:
        """Protocol ids, preferred first."""

    def attach(self, core: Core) -> None:
        """The core this router works for; called once."""

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """The outbound stream to a peer is open."""

    def remove_peer(self, peer: PeerId) -> None:
        """A peer is gone."""

    def has_enough_peers(self, topic: str, suggested: int) -> bool:
        """Whether a publish would reach enough peers; `suggested` 0 means the router's own idea."""

    def accept_from(self, peer: PeerId) -> Acceptance:
        """How much of a peer's RPC to look at."""

    def handle_control(self, peer: PeerId, rpc: RPC, now_ns: int) -> None:
        """React to the control part of an RPC."""

    def publish(self, message: Message) -> None:
        """Send a message on."""

    def join(self, topic: str) -> None:
        """We take part in a topic."""

    def leave(self, topic: str) -> None:
        """We no longer take part."""
