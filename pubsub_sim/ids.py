"""Peer ids, derived from Ed25519 keys as in libp2p."""

from __future__ import annotations

import base64
from typing import NewType

from pubsub_sim.errors import PeerIdError

PeerId = NewType("PeerId", bytes)
"""The identity multihash of a marshalled Ed25519 public key: 38 bytes (libp2p specs, peer-ids)."""

# identity multihash (0x00), 36 bytes; protobuf PublicKey{Type: Ed25519 (1), Data: 32 bytes}
_ED25519_PREFIX = b"\x00\x24\x08\x01\x12\x20"
_KEY_BYTES = 32
_LIBP2P_KEY_CID = b"\x01\x72"  # version 1, content type libp2p-key
_LONGEST_TEXT = 128  # of a peer id, in characters
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def peer_id_of(public_key: bytes) -> PeerId:
    """Return the peer id that embeds an Ed25519 public key.

    Args:
        public_key: the 32 raw bytes.

    Raises:
        PeerIdError: wrong length.
    """
    if len(public_key) != _KEY_BYTES:
        raise PeerIdError(public_key, f"an Ed25519 public key of {_KEY_BYTES} bytes")
    return PeerId(_ED25519_PREFIX + public_key)


def public_key_of(peer_id: bytes) -> bytes:
    """Return the 32 raw bytes of the Ed25519 public key embedded in a peer id.

    Raises:
        PeerIdError: the id embeds no Ed25519 key.
    """
    if len(peer_id) != len(_ED25519_PREFIX) + _KEY_BYTES or not peer_id.startswith(_ED25519_PREFIX):
        raise PeerIdError(peer_id, "a peer id that embeds an Ed25519 public key")
    return peer_id[len(_ED25519_PREFIX) :]


def to_base58(peer_id: bytes) -> str:
    """Return the usual text form of a peer id (base58btc, as in `12D3KooW...`)."""
    number = int.from_bytes(peer_id, "big")
    digits = []
    while number:
        number, rest = divmod(number, 58)
        digits.append(_BASE58[rest])
    zeros = len(peer_id) - len(peer_id.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def parse_peer_id(text: str) -> PeerId:
    """Parse a peer id: base58btc of the multihash, or a CIDv1 in base32 (libp2p specs, peer-ids).

    Raises:
        PeerIdError: it is not a peer id, or embeds no Ed25519 key.
    """
    raw = _from_cid(text) if text.startswith("b") else _from_base58(text)
    public_key_of(raw)
    return PeerId(raw)


def _from_base58(text: str) -> bytes:
    number = 0
    for digit in text[:_LONGEST_TEXT]:
        value = _BASE58.find(digit)
        if value < 0:
            raise PeerIdError(text.encode(), "a peer id in base58")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _from_cid(text: str) -> bytes:
    body = text[1:_LONGEST_TEXT].upper()
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        raise PeerIdError(text.encode(), "a peer id as a CID in base32") from None
    if not raw.startswith(_LIBP2P_KEY_CID):
        raise PeerIdError(raw, "a CIDv1 of a libp2p key")
    return raw[len(_LIBP2P_KEY_CID) :]


def short(peer_id: bytes) -> str:
    """Return the last six characters of the text form, which distinguish the hosts of a world."""
    return to_base58(peer_id)[-6:]
