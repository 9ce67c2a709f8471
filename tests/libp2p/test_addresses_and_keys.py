"""Multiaddrs, peer ids as texts, and keys as libp2p writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim.errors import PeerIdError
from pubsub_sim.ids import parse_peer_id, peer_id_of, to_base58
from pubsub_sim.libp2p.errors import KeyTypeNotSupported, MultiaddrError, ProtocolViolation
from pubsub_sim.libp2p.keys import (
    marshal_private_key,
    marshal_public_key,
    peer_id_of_key,
    seed_of_private_key,
)
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.varint import decode_varint, encode_varint
from tests.libp2p.ends import key_of

# libp2p/specs peer-ids, "Test vectors": an Ed25519 private key and its public key
PRIVATE = bytes.fromhex(
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
)
PUBLIC = bytes.fromhex("080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
PEER = key_of("peer").peer_id


@pytest.mark.parametrize(
    "text",
    [
        "/ip4/127.0.0.1/tcp/4001",
        f"/ip4/127.0.0.1/tcp/0/p2p/{to_base58(PEER)}",
        "/ip6/::1/tcp/65535",
        f"/dns4/example.org/tcp/80/p2p/{to_base58(PEER)}",
        "/dns/a.b/tcp/1",
    ],
)
def test_a_multiaddr_is_the_same_in_text_and_bytes(text: str) -> None:
    """Both forms can be read back."""
    address = Multiaddr.parse(text)
    assert str(address) == text
    assert Multiaddr.decode(address.encode()) == address


def test_the_bytes_of_a_multiaddr_are_those_of_the_table() -> None:
    """Code 4 and four bytes, code 6 and two, code 421 and the id after its length."""
    assert Multiaddr.parse("/ip4/127.0.0.1/tcp/4001").encode() == bytes.fromhex("047f000001060fa1")
    assert Multiaddr.parse("/ip4/1.2.3.4/tcp/1").of_peer(PEER).encode()[8:] == b"\xa5\x03\x26" + PEER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "127.0.0.1:4001",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.1/udp/4001",
        "/ip4/127.0.0.1/udp/4001/quic-v1",
        "/ip4/300.0.0.1/tcp/4001",
        "/ip4/::1/tcp/4001",
        "/ip6/127.0.0.1/tcp/4001",
        "/ip4/127.0.0.1/tcp/65536",
        "/ip4/127.0.0.1/tcp/-1",
        "/ip4/127.0.0.1/tcp/4001/p2p/nobody",
        "/ip4/127.0.0.1/tcp/4001/http/x",
        "/dns4//tcp/1",
        "/ip4/127.0.0.1/tcp/4001/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    ],
)
def test_what_is_no_multiaddr_is_refused_with_words(text: str) -> None:
    """The error carries the text, and says what is wrong with it."""
    with pytest.raises(MultiaddrError, match="expected a multiaddr") as caught:
        Multiaddr.parse(text)
    assert caught.value.value == text


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_a_multiaddr_or_an_error(data: bytes) -> None:
    """What can be read can be written."""
    try:
        address = Multiaddr.decode(data)
    except MultiaddrError:
        return
    assert Multiaddr.decode(address.encode()) == address


@given(st.text(max_size=60))
def test_arbitrary_texts_are_a_multiaddr_or_an_error(text: str) -> None:
    """Nothing else is raised."""
    try:
        Multiaddr.parse(text)
    except MultiaddrError:
        return


@given(st.binary(min_size=32, max_size=32))
def test_a_peer_id_is_the_same_in_text_and_bytes(key: bytes) -> None:
    """Its base58 form can be read back."""
    peer = peer_id_of(key)
    assert parse_peer_id(to_base58(peer)) == peer


def test_a_peer_id_may_come_as_a_cid() -> None:
    """Version 1, base32, as newer tools write it."""
    import base64

    cid = "b" + base64.b32encode(b"\x01\x72" + PEER).decode().lower().rstrip("=")
    assert parse_peer_id(cid) == PEER


@given(st.text(max_size=80))
def test_arbitrary_texts_are_a_peer_id_or_an_error(text: str) -> None:
    """Nothing else is raised."""
    try:
        parse_peer_id(text)
    except PeerIdError:
        return


def test_keys_are_those_of_the_specification() -> None:
    """The published private key gives the published public key, both ways."""
    from nacl.signing import SigningKey

    seed = seed_of_private_key(PRIVATE)
    public = bytes(SigningKey(seed).verify_key)
    assert marshal_public_key(peer_id_of(public)) == PUBLIC
    assert marshal_private_key(seed, public) == PRIVATE
    assert peer_id_of_key(PUBLIC, layer="test") == peer_id_of(public)


@pytest.mark.parametrize("data", [b"", b"\x08\x01", b"\x08\x01\x12\x01?", b"?" * 40])
def test_what_is_no_key_is_refused(data: bytes) -> None:
    """For wire and file."""
    with pytest.raises(ProtocolViolation):
        peer_id_of_key(data, layer="test")
    with pytest.raises(ProtocolViolation):
        seed_of_private_key(data)
    with pytest.raises(KeyTypeNotSupported, match="secp256k1"):
        seed_of_private_key(b"\x08\x02\x12\x20" + bytes(32))


@given(st.integers(0, (1 << 63) - 1))
def test_varints_can_be_read_back(number: int) -> None:
    """All numbers of 63 bits; and none is there before its last byte."""
    data = encode_varint(number)
    assert decode_varint(data) == (number, len(data))
    assert decode_varint(data[:-1]) is None
