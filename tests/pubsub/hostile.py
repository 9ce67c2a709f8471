"""Frames that no honest peer sends, and a peer that sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import strategies as st

from pubsub_sim import PubSub, World
from pubsub_sim.framing import encode_uvarint
from pubsub_sim.ids import PeerId, public_key_of
from pubsub_sim.ports import Stream
from pubsub_sim.wire.rpc_pb2 import (
    RPC,
    ControlGraft,
    ControlIDontWant,
    ControlIHave,
    ControlIWant,
    ControlMessage,
    ControlPrune,
    Message,
    PeerInfo,
)
from tests.pubsub.worlds import FakePeer, key_of

TOPIC = "foobar"  # the one topic that the hosts under attack take part in
LIMIT_BYTES = 4096  # their largest message, so that a frame over it is cheap to make

ATTACKER = key_of("attacker")


class Attacker(FakePeer):
    """A peer that says what it likes to one host, and opens another stream when the last was reset.

    Attributes:
        resets: streams that were reset under it.
    """

    def __init__(self, world: World, ps: PubSub, protocol: str, name: str = "attacker") -> None:
        super().__init__(world, name, protocol)
        self.resets = 0
        self._ps = ps
        self._stream: Stream | None = None
        self._stirred = asyncio.Event()  # there is room, or the stream has ended

    async def say(self, frame: bytes) -> None:
        """Write a frame, as soon as there is a stream that takes it."""
        while True:
            if self._stream is None:
                self._stream = await self.host.open_stream(self._ps.peer_id, [self._protocol])
                self._stream.set_writer(self)
            self._stirred.clear()
            if self._stream.write(frame):
                return
            await self._stirred.wait()

    async def say_and_be_cut(self, frame: bytes) -> None:
        """Write a frame that the host must answer by a reset, and wait for it."""
        resets = self.resets
        await self.say(frame)
        while self.resets == resets:
            await self._stirred.wait()
            self._stirred.clear()

    def hang_up(self) -> None:
        """Close the stream."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def refuse_streams(self) -> None:
        """Speak no protocol from now on."""
        self.host._accept.clear()

    def writable(self) -> None:
        """There is room again."""
        self._stirred.set()

    def ended(self) -> None:
        """The stream was reset; the next frame opens another."""
        self._stream = None
        self.resets += 1
        self._stirred.set()


def message(
    number: int = 0, *, topic: str = TOPIC, author: bytes = ATTACKER.peer_id, seqno: bytes | None = None
) -> Message:
    """An unsigned message of the attacker."""
    seqno = number.to_bytes(8, "big") if seqno is None else seqno
    return Message(author=author, data=b"hostile %d" % number, seqno=seqno, topic=topic)


def signed(wire: Message) -> Message:
    """The message with the attacker's signature, whoever claims to have written it."""
    ATTACKER.sign(wire)
    return wire


def unknown_field(number: int, value: bytes) -> bytes:
    """A field that the schema does not have, as it is encoded."""
    return encode_uvarint(number << 3 | 2) + encode_uvarint(len(value)) + value


# --- what hypothesis draws from ----------------------------------------------------------------------------------

_names = st.sampled_from([*[TOPIC] * 8, "nobody's", "", "n" * 1500]) | st.text(max_size=20)
_ids = st.lists(st.sampled_from([b"", b"one", b"two", b"i" * 700]) | st.binary(max_size=40), max_size=6)


def _messages(authors: Sequence[PeerId]) -> st.SearchStrategy[Message]:
    def build(
        author: bytes, seqno: bytes, topic: str, data: bytes, signature: bytes | None, key: bytes | None
    ) -> Message:
        wire = Message(author=author, seqno=seqno, topic=topic, data=data)
        if signature is None:
            ATTACKER.sign(wire)
        elif signature:
            wire.signature = signature
        if key is not None:
            wire.key = key
        return wire

    return st.builds(
        build,
        st.sampled_from([*authors, ATTACKER.peer_id, b"", b"nobody"]) | st.binary(max_size=50),
        st.sampled_from([b"", b"\0", bytes(7), bytes(8), bytes(9), b"\xff" * 8, b"s" * 600]) | st.binary(max_size=9),
        _names,
        st.binary(max_size=30),
        st.sampled_from([None, None, b"", bytes(64), b"short"]) | st.binary(min_size=64, max_size=64),
        st.sampled_from([None, None, b"", b"\x08\x01\x12\x20" + public_key_of(ATTACKER.peer_id), b"k" * 36]),
    )


_controls = st.builds(
    ControlMessage,
    ihave=st.lists(st.builds(ControlIHave, topic_id=_names, message_ids=_ids), max_size=3),
    iwant=st.lists(st.builds(ControlIWant, message_ids=_ids), max_size=3),
    graft=st.lists(st.builds(ControlGraft, topic_id=_names), max_size=4),
    prune=st.lists(
        st.builds(
            ControlPrune,
            topic_id=_names,
            backoff=st.sampled_from([0, 1, 2**63, 2**64 - 1]),
            peers=st.lists(st.builds(PeerInfo, peer_id=st.binary(max_size=40)), max_size=20),
        ),
        max_size=4,
    ),
    idontwant=st.lists(st.builds(ControlIDontWant, message_ids=_ids), max_size=3),
)


def rpcs(authors: Sequence[PeerId]) -> st.SearchStrategy[RPC]:
    """RPCs with anything in them, said in the name of the attacker, of these authors or of nobody."""
    return st.builds(
        RPC,
        subscriptions=st.lists(st.builds(RPC.SubOpts, subscribe=st.booleans(), topicid=_names), max_size=6),
        publish=st.lists(_messages(authors), min_size=1, max_size=3),
        control=st.none() | _controls,
    )


def frames(authors: Sequence[PeerId]) -> st.SearchStrategy[bytes]:
    """Frames of all kinds: whole, cut short, with a byte changed, too large, with unknown fields, random, empty."""
    whole = rpcs(authors).map(RPC.SerializeToString)
    return st.one_of(
        *[whole] * 6,
        st.tuples(whole, st.integers(1, 40)).map(lambda cut: cut[0][: -cut[1]]),
        st.tuples(whole, st.integers(0, 300), st.integers(0, 255)).map(_with_byte),
        st.tuples(whole, st.integers(4, 2**20), st.binary(max_size=50)).map(lambda f: f[0] + unknown_field(f[1], f[2])),
        st.sampled_from([b"", bytes(LIMIT_BYTES + 1), unknown_field(9, bytes(LIMIT_BYTES)), NO_UTF8]),
        st.binary(max_size=60),
    )


def _with_byte(change: tuple[bytes, int, int]) -> bytes:
    frame, place, value = change
    changed = bytearray(frame)
    if changed:
        changed[place % len(changed)] = value
    return bytes(changed)


NO_UTF8 = (
    b"\x0a\x05\x08\x01\x12\x01\xff"  # subscribes to the topic of the one byte 0xff
    b"\x1a\x0b"
    b"\x0a\x03\x0a\x01\xff"  # IHAVE, for that topic
    b"\x1a\x04\x0a\x02\xff\xfe"  # GRAFT, for one of two bytes
)
"""Topic names are strings to protobuf, but nothing checks that they are UTF-8."""
