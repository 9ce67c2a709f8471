"""One life of a host in a record: topics are spans, decisions are points, named as in the reference's tracers.

The points of a message form one flow, named by its id. Each links to the preceding point: for the first point at a receiving
host the sender's delivery (or publish), afterwards the host's own previous point.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pubsub_sim.ids import to_base58
from pubsub_sim.world.trace import HostWatcher, contents_in_words, rpc_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncmachine.record import Span
    from asyncmachine.record.format import Level
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

RARE = frozenset(
    "add_peer remove_peer graft prune throttle_peer drop_rpc publish_msg reject_msg undeliverable_msg".split()
)
"""Points of level "changes": peers, meshes, publishes and failures."""

FREQUENT = frozenset("validate_msg deliver_msg duplicate_msg send_rpc recv_rpc".split())
"""Points from level "ops" on: events for each message or RPC at each host."""

_WORDS = 200  # maximal length of an RPC's contents
_MESSAGES = 4096  # maximal number of messages whose last points are kept


class Scene(Protocol):
    """The interface of the recorded world to its hosts."""

    level: Level
    numbers: Mapping[bytes, int]
    topics: dict[bytes, str]

    def count(self, name: str) -> None:
        """Count an event."""

    def passed_on(self, number: int, message_id: bytes) -> int | None:
        """Return the point at which a host forwarded a message; None if unknown."""


class _Checked(NamedTuple):
    """A message under validation: its sender and its point."""

    peer: bytes
    point: int | None


class HostRecorder(HostWatcher):
    """The recorder of one life of a host.

    Args:
        scene: its world.
        span: the host's span.

    Attributes:
        span: the host's span.
        message_id_of: returns the id of a refused message; set once the host is created.
    """

    def __init__(self, scene: Scene, span: Span) -> None:
        self.span = span
        self.message_id_of: Callable[[WireMessage], bytes] | None = None
        self._scene = scene
        self._is_full = scene.level == "full"
        self._names = RARE if scene.level == "changes" else RARE | FREQUENT
        self._pubsub = span.span("pubsub")
        self._group = self._pubsub.span("topic")
        self._group.end()
        self._loop: Span | None = None
        self._topics: dict[str, Span] = {}
        self._passed_on: dict[bytes, int] = {}
        self._checked: dict[bytes, _Checked] = {}
        self._texts: dict[bytes, str] = {}
        self._is_over = False

    def end(self) -> None:  # noqa: D102
        if not self._is_over:
            self._is_over = True
            for span in (*self._topics.values(), self._pubsub, self._loop, self.span):
                if span is not None:
                    span.end()

    def passed_on(self, message_id: bytes) -> int | None:
        """Return the point at which a message was delivered or published here."""
        return self._passed_on.get(message_id)

    def operation(self, text: str) -> None:
        """Record a step of a control flow without machines."""
        self._scene.count("operation")
        if not self._is_over:
            if self._loop is None:
                self._loop = self.span.span("loop")
            self._loop.point("operation", operation=text)

    # --- peers and RPCs ------------------------------------------------------------------------------------------

    def add_peer(self, peer: PeerId, protocol: str) -> None:  # noqa: D102
        self._note("add_peer", peer, protocol=protocol)

    def remove_peer(self, peer: PeerId) -> None:  # noqa: D102
        self._note("remove_peer", peer)

    def throttle_peer(self, peer: PeerId) -> None:  # noqa: D102
        self._note("throttle_peer", peer)

    def send_rpc(self, peer: PeerId, frame: bytes) -> None:  # noqa: D102
        self._note_rpc("send_rpc", peer, frame)

    def drop_rpc(self, peer: PeerId, frame: bytes) -> None:  # noqa: D102
        self._note_rpc("drop_rpc", peer, frame)

    def recv_rpc(self, peer: PeerId, rpc: RPC) -> None:  # noqa: D102
        if self._is_full:
            self._note("recv_rpc", peer, bytes=rpc.ByteSize(), rpc=_short(contents_in_words(rpc)))
        else:
            self._note("recv_rpc", peer, bytes=rpc.ByteSize())

    def _note_rpc(self, name: str, peer: PeerId, frame: bytes) -> None:
        if self._is_full:
            self._note(name, peer, bytes=len(frame), rpc=_short(rpc_in_words(frame)))
        else:
            self._note(name, peer, bytes=len(frame))

    # --- topics and meshes ---------------------------------------------------------------------------------------

    def join(self, topic: str) -> None:  # noqa: D102
        self._scene.count("join")
        if not self._is_over:
            self._topics[topic] = self._group.span(f"topic:{topic}", topic=topic)

    def leave(self, topic: str) -> None:  # noqa: D102
        self._scene.count("leave")
        span = self._topics.pop(topic, None)
        if span is not None:
            span.end(left=True)

    def graft(self, peer: PeerId, topic: str) -> None:  # noqa: D102
        self._note("graft", peer, topic=topic)

    def prune(self, peer: PeerId, topic: str) -> None:  # noqa: D102
        self._note("prune", peer, topic=topic)

    # --- messages ------------------------------------------------------------------------------------------------

    def publish_message(self, message: Message) -> None:  # noqa: D102
        self._scene.topics[message.id] = message.topic
        _bound(self._scene.topics)
        self._remember(message.id, self._note("publish_msg", topic=message.topic, message_id=message.id))

    def validate_message(self, message: Message) -> None:  # noqa: D102
        point = self._note_message("validate_msg", message, self._sent(message.id, message.received_from))
        self._checked[message.id] = _Checked(message.received_from, point)
        _bound(self._checked)

    def deliver_message(self, message: Message) -> None:  # noqa: D102
        checked = self._checked.pop(message.id, None)
        before = self._sent(message.id, message.received_from) if checked is None else checked.point
        self._remember(message.id, self._note_message("deliver_msg", message, before))

    def undeliverable_message(self, message: Message) -> None:  # noqa: D102
        self._note_message("undeliverable_msg", message, self._passed_on.get(message.id))

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:  # noqa: D102
        topic = self._scene.topics.get(message_id, "")
        self._note("duplicate_msg", peer, topic=topic, message_id=message_id, link=self._sent(message_id, peer))

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:  # noqa: D102
        message_id = self._id_of(message)
        checked = self._checked.get(message_id)
        if checked is not None and checked.peer == peer:
            del self._checked[message_id]
            link = checked.point
        else:
            link = self._sent(message_id, peer)
        self._note("reject_msg", peer, topic=message.topic, message_id=message_id, link=link, reason=str(reason))

    def _note_message(self, name: str, message: Message, link: int | None) -> int | None:
        return self._note(name, message.received_from, topic=message.topic, message_id=message.id, link=link)

    def _sent(self, message_id: bytes, peer: bytes) -> int | None:
        """Return the point at which the sender of a message forwarded it."""
        number = self._scene.numbers.get(peer)
        return None if number is None else self._scene.passed_on(number, message_id)

    def _remember(self, message_id: bytes, point: int | None) -> None:
        if point is not None:
            self._passed_on[message_id] = point
            _bound(self._passed_on)

    def _id_of(self, message: WireMessage) -> bytes:
        """Return the id of a refused message; empty if the host's message id function fails."""
        if self.message_id_of is None:
            return message.author + message.seqno
        try:
            return self.message_id_of(message)
        except Exception:  # a user's function, not intended for refused messages
            return b""

    # --- internals -----------------------------------------------------------------------------------------------

    def _note(
        self,
        name: str,
        peer: bytes = b"",
        *,
        topic: str = "",
        message_id: bytes = b"",
        link: int | None = None,
        **attributes: object,
    ) -> int | None:
        """Record a point, below the topic's span if the topic is joined; return None if this level excludes it."""
        if self._is_over:
            return None
        self._scene.count(name)
        if name not in self._names:
            return None
        if peer:
            number = self._scene.numbers.get(peer)
            if number is not None:
                attributes["peer"] = number
            attributes["peer_id"] = self._text_of(peer)
        flow = b64encode(message_id).decode()
        if flow:
            attributes["msg_id"] = flow
        span = self._topics.get(topic, self._pubsub)
        return span.point(name, flow=flow, link=link, **attributes)

    def _text_of(self, peer: bytes) -> str:
        text = self._texts.get(peer)
        if text is None:
            text = self._texts[peer] = to_base58(peer)
        return text


def _short(words: str) -> str:
    return words if len(words) <= _WORDS else words[: _WORDS - 3] + "..."


def _bound(kept: dict[bytes, Any]) -> None:
    """Remove the oldest message if there are too many."""
    if len(kept) > _MESSAGES:
        del kept[next(iter(kept))]
