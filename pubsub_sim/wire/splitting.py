"""Splitting of an RPC that is too large for a stream into pieces.

Only gossipsub does it. A piece may still be too large, if a single element is: the caller drops it. Sizes are counted
as elements are added and never measured by encoding, so cutting takes time in proportion to the elements.

Entries of the control part that hold message ids are cut between them, and a PRUNE that is too large for a piece of its
own between the peers it offers. Any other entry is one element, of whatever kind, so that none is forgotten.

Source: go-libp2p-pubsub `appendOrMergeRPC` (May 2024) and `RPC.split` (2026); see `pubsub_sim.differences`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pubsub_sim.framing import uvarint_bytes
from pubsub_sim.wire.rpc_pb2 import RPC, ControlMessage

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

_FIRST = ("graft", "prune", "iwant", "ihave")  # the reference's order; other kinds follow
_IDS = "message_ids"
_LISTS = {"prune": "peers", "iwant": _IDS, "ihave": _IDS, "idontwant": _IDS}  # kind of entry -> what it is cut between


def split(rpc: RPC, limit_bytes: int, *, packs_messages: bool) -> list[RPC]:
    """Return the pieces of an RPC, in the order they are to be sent; none is empty.

    Messages come first, then subscriptions, then GRAFT, PRUNE, IWANT, IHAVE and the other entries of the control part.
    An IHAVE, IWANT or IDONTWANT of no ids says nothing, and is left out.

    Args:
        rpc: what is too large.
        limit_bytes: largest encoded piece.
        packs_messages: the rule of 2026: messages in pieces of their own, and what is left in one piece, unaltered,
            if that is below the limit.
    """
    cutter = _Cutter(limit_bytes)
    for message in rpc.publish:
        cutter.begin(field_bytes(message.ByteSize())).publish.append(message)
    if packs_messages:
        rest = RPC()
        rest.CopyFrom(rpc)
        rest.ClearField("publish")
        size = rest.ByteSize()
        if size == 0:
            return cutter.pieces
        if size < limit_bytes:
            return [*cutter.pieces, rest]
        cutter.close()
    for option in rpc.subscriptions:
        cutter.begin(field_bytes(option.ByteSize())).subscriptions.append(option)
    if rpc.HasField("control"):
        _split_control(cutter, rpc.control)
    return cutter.pieces


def field_bytes(body: int) -> int:
    """Encoded size of a field with a length, of at most 15 as a number: tag, length and body."""
    return 1 + uvarint_bytes(body) + body


def _split_control(cutter: _Cutter, control: ControlMessage) -> None:
    for field, entries in sorted(control.ListFields(), key=_place):
        kind = field.name
        listed = _LISTS.get(kind, "")
        for entry in entries:
            if listed == _IDS or (listed and not cutter.would_fit_alone(entry.ByteSize())):
                head = type(entry)()
                head.CopyFrom(entry)
                head.ClearField(listed)
                cutter.open_entry(kind, head)
                for item in getattr(entry, listed):
                    cutter.add_item(listed, item)
            else:
                getattr(cutter.begin_control(field_bytes(entry.ByteSize())), kind).append(entry)


def _place(part: tuple[FieldDescriptor, Any]) -> tuple[int, int]:
    field, _ = part
    return _FIRST.index(field.name) if field.name in _FIRST else len(_FIRST), field.number


class _Cutter:
    """The pieces so far, the last of which is open, and the sizes of its parts."""

    def __init__(self, limit_bytes: int) -> None:
        self.pieces: list[RPC] = []
        self._limit = limit_bytes
        self._head: Any = None  # what the entry for the next items has in it before them
        self._next = ("", b"")  # its kind and encoded head
        self.close()

    def close(self) -> None:
        """Let the next element begin a piece."""
        self._is_open = False
        self._plain = 0  # messages and subscriptions
        self._control = 0  # body of the control part, without the entry that is still growing
        self._entry = 0  # body of that entry, 0 if there is none
        self._key: tuple[str, bytes] | None = None  # kind and head of that entry

    def begin(self, size: int) -> RPC:
        """Return the piece to which a message or subscription of this encoded size is to be added."""
        if self._size(plain=size) > self._limit:
            self.close()
        self._plain += size
        return self._piece()

    def begin_control(self, size: int) -> ControlMessage:
        """Return the control part to which an entry of this encoded size is to be added."""
        if self._size(control=size) > self._limit:
            self.close()
        self._control += size
        return self._piece().control

    def would_fit_alone(self, body: int) -> bool:
        """Return whether an entry of the control part with this body fits into a piece of its own."""
        return field_bytes(field_bytes(body)) <= self._limit

    def open_entry(self, kind: str, head: Any) -> None:
        """The next items belong to an entry of this kind with this much in it before its list."""
        self._head = head
        self._next = (kind, head.SerializeToString())

    def add_item(self, listed: str, item: Any) -> None:
        """Add an item to the piece's last entry if that is of the same kind and head, else to a new one."""
        kind, head = self._next
        size = field_bytes(len(item) if isinstance(item, bytes) else item.ByteSize())
        if self._key != self._next or self._size(entry=size) > self._limit:
            if self._size(control=field_bytes(len(head) + size)) > self._limit:
                self.close()
            self._control += field_bytes(self._entry) if self._entry else 0
            self._entry = len(head)
            self._key = self._next
            getattr(self._piece().control, kind).add().CopyFrom(self._head)
        self._entry += size
        getattr(getattr(self._piece().control, kind)[-1], listed).append(item)

    def _size(self, *, plain: int = 0, control: int = 0, entry: int = 0) -> int:
        """Encoded size of the open piece with this much more in it."""
        entry += self._entry
        body = self._control + control + (field_bytes(entry) if entry else 0)
        return self._plain + plain + (field_bytes(body) if body else 0)

    def _piece(self) -> RPC:
        if not self._is_open:
            self._is_open = True
            self.pieces.append(RPC())
        return self.pieces[-1]
