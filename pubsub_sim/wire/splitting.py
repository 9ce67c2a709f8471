"""How is an RPC that is too large for a stream cut into pieces?

Only gossipsub does it. A piece may still be too large, if a single element is: the caller drops it. Sizes are counted
as elements are added and never measured by encoding, so cutting takes time in proportion to the elements.

Source: go-libp2p-pubsub `appendOrMergeRPC` (May 2024) and `RPC.split` (2026).
"""

from __future__ import annotations

from pubsub_sim.wire.rpc_pb2 import RPC, ControlIHave, ControlMessage


def split(rpc: RPC, limit_bytes: int, *, packs_messages: bool) -> list[RPC]:
    """The pieces of an RPC, in the order they are to be sent; none is empty.

    Messages come first, then subscriptions, then GRAFT, PRUNE, IWANT and IHAVE; IDONTWANT is not carried over.

    Args:
        rpc: what is too large.
        limit_bytes: largest encoded piece.
        packs_messages: the rule of 2026: messages in pieces of their own, and what is left in one piece, unaltered
            and with its IDONTWANT, if that is below the limit.
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
    size = body + 2
    while body > 0x7F:
        body >>= 7
        size += 1
    return size


def _split_control(cutter: _Cutter, control: ControlMessage) -> None:
    for graft in control.graft:
        cutter.begin_control(field_bytes(graft.ByteSize())).graft.append(graft)
    for prune in control.prune:
        cutter.begin_control(field_bytes(prune.ByteSize())).prune.append(prune)
    for iwant in control.iwant:
        for message_id in iwant.message_ids:
            cutter.want(message_id)
    for ihave in control.ihave:
        for message_id in ihave.message_ids:
            cutter.have(ihave, message_id)


class _Cutter:
    """The pieces so far, the last of which is open, and the sizes of its parts."""

    def __init__(self, limit_bytes: int) -> None:
        self.pieces: list[RPC] = []
        self._limit = limit_bytes
        self.close()

    def close(self) -> None:
        """Let the next element begin a piece."""
        self._is_open = False
        self._plain = 0  # messages and subscriptions
        self._control = 0  # body of the control part, without the entry that is still growing
        self._entry = 0  # body of that entry, 0 if there is none
        self._topic: str | None = None  # whose ids that entry holds; None for an IWANT

    def begin(self, size: int) -> RPC:
        """The piece to which a message or subscription of this encoded size is to be added."""
        if self._size(plain=size) > self._limit:
            self.close()
        self._plain += size
        return self._piece()

    def begin_control(self, size: int) -> ControlMessage:
        """The control part to which a GRAFT or PRUNE of this encoded size is to be added."""
        if self._size(control=size) > self._limit:
            self.close()
        self._control += size
        return self._piece().control

    def want(self, message_id: bytes) -> None:
        """Add an id to the piece's one IWANT."""
        size = field_bytes(len(message_id))
        if self._size(entry=size) > self._limit:
            self.close()
        control = self._piece().control
        if not control.iwant:
            control.iwant.add()
        control.iwant[0].message_ids.append(message_id)
        self._entry += size

    def have(self, ihave: ControlIHave, message_id: bytes) -> None:
        """Add an id to the piece's last IHAVE if that is of the same topic, else to a new one."""
        size = field_bytes(len(message_id))
        head = field_bytes(len(ihave.topic_id.encode()))
        if self._topic == ihave.topic_id and self._size(entry=size) <= self._limit:
            self._piece().control.ihave[-1].message_ids.append(message_id)
            self._entry += size
            return
        if self._size(control=field_bytes(head + size)) > self._limit:
            self.close()
        self._control += field_bytes(self._entry) if self._entry else 0
        self._entry = head + size
        self._topic = ihave.topic_id
        entry = self._piece().control.ihave.add()
        entry.topic_id = ihave.topic_id
        entry.message_ids.append(message_id)

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
