"""libp2p's encodings of identity keys: public keys on the wire, private keys in files (libp2p/specs, peer-ids)."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from pubsub_sim.errors import PeerIdError
from pubsub_sim.ids import PeerId, peer_id_of
from pubsub_sim.libp2p.errors import KeyTypeNotSupported, ProtocolViolation
from pubsub_sim.libp2p.messages_pb2 import PublicKey

ED25519 = 1
"""The number of the key type."""

_SEED_BYTES = 32


def marshal_public_key(peer_id: PeerId) -> bytes:
    """Return the PublicKey message of the Ed25519 key embedded in a peer id, whose identity multihash contains that message."""
    return peer_id[2:]


def peer_id_of_key(message: bytes, *, layer: str) -> PeerId:
    """Return the peer id of a PublicKey message.

    Args:
        message: its bytes.
        layer: the reading protocol, for the error.

    Raises:
        KeyTypeNotSupported: a type other than Ed25519.
        ProtocolViolation: an invalid message, or one without a key.
    """
    key = _read(message)
    if key is None:
        raise ProtocolViolation(layer, "a public key", message)
    if key.type != ED25519:
        raise KeyTypeNotSupported(key.type)
    try:
        return peer_id_of(key.data)
    except PeerIdError:
        raise ProtocolViolation(layer, "an Ed25519 key of 32 bytes", key.data) from None


def marshal_private_key(seed: bytes, public_key: bytes) -> bytes:
    """Return the PrivateKey message of an Ed25519 key, libp2p's file format: type, then seed and public key."""
    return PublicKey(type=ED25519, data=seed + public_key).SerializeToString()  # the same fields as a PublicKey


def seed_of_private_key(message: bytes) -> bytes:
    """Return the 32-byte seed of a PrivateKey message; an old form repeats the public key after it.

    Raises:
        KeyTypeNotSupported: a type other than Ed25519.
        ProtocolViolation: an invalid message.
    """
    key = _read(message)
    if key is None:
        raise ProtocolViolation("key file", "a private key in libp2p's format", f"{len(message)} bytes")
    if key.type != ED25519:
        raise KeyTypeNotSupported(key.type)
    if len(key.data) not in (2 * _SEED_BYTES, 3 * _SEED_BYTES):
        raise ProtocolViolation("key file", "64 bytes of an Ed25519 key", f"{len(key.data)} bytes")
    return key.data[:_SEED_BYTES]


def _read(message: bytes) -> PublicKey | None:
    """Return a key message with both its fields, or None."""
    try:
        key = PublicKey.FromString(message)
    except DecodeError:
        return None
    return key if key.IsInitialized() else None
