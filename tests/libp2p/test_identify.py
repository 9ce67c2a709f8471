"""Identify: what a peer tells of itself, in any number of messages and pieces, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim.libp2p.errors import Libp2pError, ProtocolViolation
from pubsub_sim.libp2p.identify import LONGEST_MESSAGE, MOST_MESSAGES, IdentifyReader, PeerInfo, make_identify
from pubsub_sim.libp2p.messages_pb2 import Identify
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.varint import encode_varint
from tests.libp2p.ends import key_of

PEER = key_of("peer").peer_id
ADDRESS = Multiaddr.parse("/ip4/127.0.0.1/tcp/4001")
OBSERVED = Multiaddr.parse("/ip4/127.0.0.1/tcp/54321")


def delimited(message: bytes) -> bytes:
    return encode_varint(len(message)) + message


@given(st.integers(1, 200))
def test_what_is_told_is_read(piece: int) -> None:
    """Protocols, addresses, agent and the address that was observed, in pieces of any size."""
    data = make_identify(PEER, ["/a", "/b"], [ADDRESS], OBSERVED)
    reader = IdentifyReader(PEER)
    for at in range(0, len(data), piece):
        reader.receive(data[at : at + piece])
    assert reader.end() == PeerInfo(("/a", "/b"), (ADDRESS,), "pubsub-sim", OBSERVED)


def test_several_messages_are_merged() -> None:
    """go-libp2p splits a long one."""
    reader = IdentifyReader(PEER)
    reader.receive(delimited(Identify(protocols=[b"/a"], agent_version=b"one").SerializeToString()))
    reader.receive(delimited(Identify(protocols=[b"/b"]).SerializeToString()))
    assert reader.end() == PeerInfo(("/a", "/b"), (), "one", None)


def test_addresses_that_cannot_be_dialled_are_left_out() -> None:
    """QUIC and the like are no error; nor is a name that is no UTF-8."""
    quic = bytes.fromhex("047f0000019102 0fa1 cd03")
    message = Identify(listen_addresses=[quic, ADDRESS.encode()], protocols=[b"\xff"], agent_version=b"\xff")
    reader = IdentifyReader(PEER)
    reader.receive(delimited(message.SerializeToString()))
    info = reader.end()
    assert info.addresses == (ADDRESS,)
    assert info.protocols == ("\N{REPLACEMENT CHARACTER}",)


def test_a_push_without_protocols_says_nothing_of_them() -> None:
    """It is not that there are none."""
    reader = IdentifyReader(PEER)
    reader.receive(delimited(Identify(agent_version=b"x").SerializeToString()))
    assert reader.end().protocols is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encode_varint(LONGEST_MESSAGE + 1), "at most 8192 bytes"),
        (delimited(b"") * (MOST_MESSAGES + 1), "at most 10 messages"),
        (delimited(b"\xff\xff"), "an identify message"),
        (delimited(Identify(public_key=b"another").SerializeToString()), "key of the handshake"),
        (b"\xff" * 9, "varint"),
    ],
)
def test_what_is_no_identify_is_refused(data: bytes, expected: str) -> None:
    """Long messages at their length, many, other bytes, and the key of somebody else."""
    with pytest.raises(ProtocolViolation, match=expected):
        IdentifyReader(PEER).receive(data)


@pytest.mark.parametrize("data", [b"", b"\x05abc"])
def test_an_end_in_the_middle_is_refused(data: bytes) -> None:
    """A peer that ends the stream early has told nothing."""
    reader = IdentifyReader(PEER)
    reader.receive(data)
    with pytest.raises(ProtocolViolation, match="whole messages"):
        reader.end()


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_arbitrary_bytes_are_read_or_refused(parts: list[bytes]) -> None:
    """Nothing else is raised."""
    reader = IdentifyReader(PEER)
    try:
        for part in parts:
            reader.receive(part)
        reader.end()
    except Libp2pError:
        return
