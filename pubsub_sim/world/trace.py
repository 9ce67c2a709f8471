"""The event trace of a world: one log of the events of all hosts, written by a raw tracer per host."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from pubsub_sim.protocol.tracing import RawTracer
from pubsub_sim.wire.codec import decode

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


class TraceEvent(NamedTuple):
    """One event.

    Attributes:
        time_ns: its time on the world's clock.
        host: number of its host; -1 for the network.
        kind: the reference's hook name in snake case, e.g. "send_rpc", "deliver_message", or a fault: "crash",
            "restart", "partition", "heal", "drop_begins", "drop_ends", "delay_begins", "delay_ends", "reading_stops",
            "reading_goes_on"; or, where a scenario watches the links (`fault_runs`), "connect", "disconnect", "lose_rpc".
        peer: the other peer's id; empty if there is none.
        detail: message id, encoded RPC, topic or reason.
    """

    time_ns: int
    host: int
    kind: str
    peer: bytes
    detail: bytes | str


def digest(events: Iterable[TraceEvent]) -> str:
    """Return a hash of the events: equal for equal events in equal order, on every machine and Python version."""
    running = hashlib.sha256()
    for event in events:
        running.update(repr(tuple(event)).encode())
    return running.hexdigest()


def rpc_in_words(frame: bytes | str) -> str:
    """Return the contents of an encoded RPC as text."""
    assert isinstance(frame, bytes)
    return contents_in_words(decode(frame))


def contents_in_words(rpc: RPC) -> str:
    """Return the contents of an RPC as text."""
    parts = [f"{'subscribe' if one.subscribe else 'unsubscribe'} {one.topicid}" for one in rpc.subscriptions]
    parts += [f"message {one.data!r}" for one in rpc.publish]
    parts += [f"{field.name} ({len(values)})" for field, values in rpc.control.ListFields()]
    return ", ".join(parts) if parts else "nothing"


class HostWatcher(RawTracer):
    """A tracer of one life of a host; base of additional tracers of a world."""

    def end(self) -> None:
        """Called when the host crashed or its world ends; later events are not part of the world."""


class HostTrace(HostWatcher):
    """A tracer that writes one host's events into the world's log."""

    def __init__(self, log: list[TraceEvent], host: int, now_ns: Callable[[], int]) -> None:
        self._log = log
        self._host = host
        self._now_ns = now_ns

    def end(self) -> None:  # noqa: D102
        self._log = []

    def _note(self, kind: str, peer: bytes, detail: bytes | str) -> None:
        self._log.append(TraceEvent(self._now_ns(), self._host, kind, peer, detail))

    def add_peer(self, peer: PeerId, protocol: str) -> None:  # noqa: D102
        self._note("add_peer", peer, protocol)

    def remove_peer(self, peer: PeerId) -> None:  # noqa: D102
        self._note("remove_peer", peer, "")

    def join(self, topic: str) -> None:  # noqa: D102
        self._note("join", b"", topic)

    def leave(self, topic: str) -> None:  # noqa: D102
        self._note("leave", b"", topic)

    def graft(self, peer: PeerId, topic: str) -> None:  # noqa: D102
        self._note("graft", peer, topic)

    def prune(self, peer: PeerId, topic: str) -> None:  # noqa: D102
        self._note("prune", peer, topic)

    def throttle_peer(self, peer: PeerId) -> None:  # noqa: D102
        self._note("throttle_peer", peer, "")

    def publish_message(self, message: Message) -> None:  # noqa: D102
        self._note("publish_message", b"", message.id)

    def validate_message(self, message: Message) -> None:  # noqa: D102
        self._note("validate_message", message.received_from, message.id)

    def deliver_message(self, message: Message) -> None:  # noqa: D102
        self._note("deliver_message", message.received_from, message.id)

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:  # noqa: D102
        self._note("reject_message", peer, reason)

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:  # noqa: D102
        self._note("duplicate_message", peer, message_id)

    def undeliverable_message(self, message: Message) -> None:  # noqa: D102
        self._note("undeliverable_message", message.received_from, message.id)

    def recv_rpc(self, peer: PeerId, rpc: RPC) -> None:  # noqa: D102
        self._note("recv_rpc", peer, rpc.SerializeToString())

    def send_rpc(self, peer: PeerId, frame: bytes) -> None:  # noqa: D102
        self._note("send_rpc", peer, frame)

    def drop_rpc(self, peer: PeerId, frame: bytes) -> None:  # noqa: D102
        self._note("drop_rpc", peer, frame)
