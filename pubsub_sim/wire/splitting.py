"""Splitting of an RPC that is too large for a stream into pieces.

Only gossipsub uses it. A piece is still too large if a single element is: the caller drops it. Sizes are added up per
element instead of encoding the pieces, so the time is linear in the number of elements.

Control entries with message ids are split between ids, and a PRUNE that is too large for one piece between the offered
peers. Any other entry, of any kind, is one element.

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
_LISTS = {"prune": "peers", "iwant": _IDS, "ihave": _IDS, "idontwant": _IDS}  # kind of entry -> its splittable list


def split(rpc: RPC, limit_bytes: int, *, packs_messages: bool) -> list[RPC]:
    """Return the pieces of an RPC in sending order; none is empty.

    Messages come first, then subscriptions, then GRAFT, PRUNE, IWANT, IHAVE and the other entries of the control part.
    An IHAVE, IWANT or IDONTWANT without ids is omitted.

    Args:
        rpc: the RPC.
        limit_bytes: maximal encoded size of a piece.
        packs_messages: use the rule of 2026: messages in separate pieces, and the rest in one unaltered piece if it is
            below the limit.
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
    """Return the encoded size of a length-delimited field with a number up to 15: tag, length and body."""
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
    """The pieces so far, and the sizes of the parts of the last, open one."""

    def __init__(self, limit_bytes: int) -> None:
        self.pieces: list[RPC] = []
        self._limit = limit_bytes
        self._head: Any = None  # the fields before the list of the entry for the next items
        self._next = ("", b"")  # its kind and encoded head
        self.close()

    def close(self) -> None:
        """Begin a new piece with the next element."""
        self._is_open = False
        self._plain = 0  # messages and subscriptions
        self._control = 0  # body of the control part, without the entry that is still growing
        self._entry = 0  # body of that entry, 0 if there is none
        self._key: tuple[str, bytes] | None = None  # kind and head of that entry

    def begin(self, size: int) -> RPC:
        """Return the piece for a message or subscription of this encoded size."""
        if self._size(plain=size) > self._limit:
            self.close()
        self._plain += size
        return self._piece()

    def begin_control(self, size: int) -> ControlMessage:
        """Return the control part for an entry of this encoded size."""
        if self._size(control=size) > self._limit:
            self.close()
        self._control += size
        return self._piece().control

    def would_fit_alone(self, body: int) -> bool:
        """Return whether a control entry with this body fits into one piece."""
        return field_bytes(field_bytes(body)) <= self._limit

    def open_entry(self, kind: str, head: Any) -> None:
        """Set the kind and head of the entry for the next items."""
        self._head = head
        self._next = (kind, head.SerializeToString())

    def add_item(self, listed: str, item: Any) -> None:
        """Add an item to the piece's last entry if it has the same kind and head, else to a new one."""
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
        """Return the encoded size of the open piece with these additions."""
        entry += self._entry
        body = self._control + control + (field_bytes(entry) if entry else 0)
        return self._plain + plain + (field_bytes(body) if body else 0)

    def _piece(self) -> RPC:
        if not self._is_open:
            self._is_open = True
            self.pieces.append(RPC())
        return self.pieces[-1]
