"""The raw tracer hooks of go-libp2p-pubsub, synchronous, with the reference's names.

A tracer must not block or change anything. Without one, the cost is an attribute test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


class RawTracer:
    """Hooks that do nothing; override those of interest."""

    __slots__ = ()

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """A peer was added to the router."""

    def remove_peer(self, peer: PeerId) -> None:
        """A peer was removed from the router."""

    def join(self, topic: str) -> None:
        """The host joined a topic."""

    def leave(self, topic: str) -> None:
        """The host left a topic."""

    def graft(self, peer: PeerId, topic: str) -> None:
        """A peer was added to the mesh of a topic."""

    def prune(self, peer: PeerId, topic: str) -> None:
        """A peer was removed from the mesh of a topic."""

    def publish_message(self, message: Message) -> None:
        """A local publish begins."""

    def validate_message(self, message: Message) -> None:
        """A new message passed the signature check."""

    def deliver_message(self, message: Message) -> None:
        """A message was accepted and goes to the local subscriptions and the router."""

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        """A message from `peer` was refused."""

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:
        """A message from `peer` was seen before."""

    def throttle_peer(self, peer: PeerId) -> None:
        """Only the control part of an RPC of `peer` is processed."""

    def undeliverable_message(self, message: Message) -> None:
        """A message was dropped as a subscription's buffer was full."""

    def recv_rpc(self, peer: PeerId, rpc: RPC) -> None:
        """An RPC from `peer` is about to be handled."""

    def send_rpc(self, peer: PeerId, frame: bytes) -> None:
        """An RPC was queued to `peer`."""

    def drop_rpc(self, peer: PeerId, frame: bytes) -> None:
        """An RPC to `peer` was lost to a full queue."""


class Tracers(RawTracer):
    """Several tracers at once; each is called for the hooks it overrides, in the order given.

    Args:
        own_id: the host's own id.
        watchers: receive all events (the reference's event tracers).
        evaluators: receive validate, deliver, reject and duplicate only for messages of other peers, like the reference's
            raw tracers. Scores, promises and gaters are evaluators.
    """

    __slots__ = ("_calls", "_evaluators", "_own_id")

    def __init__(
        self, own_id: PeerId, *, watchers: Iterable[RawTracer] = (), evaluators: Iterable[RawTracer] = ()
    ) -> None:
        self._own_id = own_id
        watching, evaluating = tuple(watchers), tuple(evaluators)
        self._evaluators = {name: _overrides(evaluating, name) for name in _OF_MESSAGES}
        self._calls = {
            name: _overrides(watching if name in _OF_MESSAGES else evaluating + watching, name) for name in HOOKS
        }

    def hears(self, hook: str) -> bool:
        """Whether one of them overrides a hook."""
        return bool(self._calls[hook] or self._evaluators.get(hook))

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Call the tracers that override `add_peer`."""
        for call in self._calls["add_peer"]:
            call(peer, protocol)

    def remove_peer(self, peer: PeerId) -> None:
        """Call the tracers that override `remove_peer`."""
        for call in self._calls["remove_peer"]:
            call(peer)

    def join(self, topic: str) -> None:
        """Call the tracers that override `join`."""
        for call in self._calls["join"]:
            call(topic)

    def leave(self, topic: str) -> None:
        """Call the tracers that override `leave`."""
        for call in self._calls["leave"]:
            call(topic)

    def graft(self, peer: PeerId, topic: str) -> None:
        """Call the tracers that override `graft`."""
        for call in self._calls["graft"]:
            call(peer, topic)

    def prune(self, peer: PeerId, topic: str) -> None:
        """Call the tracers that override `prune`."""
        for call in self._calls["prune"]:
            call(peer, topic)

    def publish_message(self, message: Message) -> None:
        """Call the tracers that override `publish_message`."""
        for call in self._calls["publish_message"]:
            call(message)

    def validate_message(self, message: Message) -> None:
        """Call the evaluators, unless the message is the host's own, then the watchers."""
        if message.received_from != self._own_id:
            for call in self._evaluators["validate_message"]:
                call(message)
        for call in self._calls["validate_message"]:
            call(message)

    def deliver_message(self, message: Message) -> None:
        """Call the evaluators, unless the message is the host's own, then the watchers."""
        if message.received_from != self._own_id:
            for call in self._evaluators["deliver_message"]:
                call(message)
        for call in self._calls["deliver_message"]:
            call(message)

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        """Call the evaluators, unless the message is the host's own, then the watchers."""
        if peer != self._own_id:
            for call in self._evaluators["reject_message"]:
                call(message, peer, reason)
        for call in self._calls["reject_message"]:
            call(message, peer, reason)

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:
        """Call the evaluators, unless the message is the host's own, then the watchers."""
        if peer != self._own_id:
            for call in self._evaluators["duplicate_message"]:
                call(message_id, peer)
        for call in self._calls["duplicate_message"]:
            call(message_id, peer)

    def throttle_peer(self, peer: PeerId) -> None:
        """Call the tracers that override `throttle_peer`."""
        for call in self._calls["throttle_peer"]:
            call(peer)

    def undeliverable_message(self, message: Message) -> None:
        """Call the tracers that override `undeliverable_message`."""
        for call in self._calls["undeliverable_message"]:
            call(message)

    def recv_rpc(self, peer: PeerId, rpc: RPC) -> None:
        """Call the tracers that override `recv_rpc`."""
        for call in self._calls["recv_rpc"]:
            call(peer, rpc)

    def send_rpc(self, peer: PeerId, frame: bytes) -> None:
        """Call the tracers that override `send_rpc`."""
        for call in self._calls["send_rpc"]:
            call(peer, frame)

    def drop_rpc(self, peer: PeerId, frame: bytes) -> None:
        """Call the tracers that override `drop_rpc`."""
        for call in self._calls["drop_rpc"]:
            call(peer, frame)


_OF_MESSAGES = ("validate_message", "deliver_message", "reject_message", "duplicate_message")
HOOKS = tuple(name for name in vars(RawTracer) if not name.startswith("_"))
"""The names of all hooks."""


def overrides(tracer: RawTracer, hook: str) -> bool:
    """Return whether a tracer implements a hook."""
    return getattr(getattr(tracer, hook), "__func__", None) is not getattr(RawTracer, hook)


def hook_of(tracer: RawTracer | None, hook: str) -> Callable[..., object] | None:
    """What is to be called for a hook; None if nobody hears of it, so that nothing has to be made for it to hear."""
    if tracer is None or not (tracer.hears(hook) if isinstance(tracer, Tracers) else overrides(tracer, hook)):
        return None
    call: Callable[..., object] = getattr(tracer, hook)
    return call


def _overrides(tracers: Iterable[RawTracer], hook: str) -> tuple[Callable[..., Any], ...]:
    """Return the bound hooks of the tracers that implement it."""
    return tuple(getattr(tracer, hook) for tracer in tracers if overrides(tracer, hook))
