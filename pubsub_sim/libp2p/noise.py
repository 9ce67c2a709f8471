"""libp2p's Noise: the XX handshake with 25519, ChaChaPoly and SHA256, and the resulting channel.

Names are those of the Noise specification, revision 34. All messages have a two-byte big-endian length prefix. The payloads
of messages 2 and 3 contain the sender's identity key and its signature of the sender's static key, which is new for each
connection. Source: libp2p/specs noise.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

from pubsub_sim.ids import public_key_of
from pubsub_sim.libp2p.ciphers import TAG_BYTES
from pubsub_sim.libp2p.errors import ProtocolViolation, WrongPeer
from pubsub_sim.libp2p.keys import marshal_public_key, peer_id_of_key
from pubsub_sim.libp2p.messages_pb2 import NoiseExtensions, NoiseHandshakePayload
from pubsub_sim.libp2p.security import Secured
from pubsub_sim.wire.signing import is_signed

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.libp2p.ciphers import Cipher
    from pubsub_sim.libp2p.exchange import Steps
    from pubsub_sim.libp2p.security import Identity

NOISE = "/noise"
"""The protocol's name in multistream-select."""

LONGEST_MESSAGE = 0xFFFF
"""Maximal size of a message in bytes, without its length."""

LONGEST_PLAINTEXT = LONGEST_MESSAGE - TAG_BYTES

LONGEST_HANDSHAKE_MESSAGE = 4096
"""Maximal size of a handshake message in bytes: an identity key, a signature and muxer names take a few hundred."""

SIGNED_PREFIX = b"noise-libp2p-static-key:"
"""Prefix of a static key in the signed data."""

_NAME = b"Noise_XX_25519_ChaChaPoly_SHA256"  # 32 bytes, hence used unhashed as the initial hash
KEY_BYTES = 32
_LAYER = "noise"

_nonce = Struct("<4xQ").pack  # four zero bytes and a counter
_size = Struct(">H").pack  # the length before a message


@dataclass(frozen=True)
class KeyExchangeKey:
    """An X25519 key pair of one handshake.

    Attributes:
        private: 32 bytes.
        public: 32 bytes.
    """

    private: bytes
    public: bytes

    @classmethod
    def of(cls, private: bytes) -> KeyExchangeKey:
        """Create the pair of a private key."""
        return cls(private, crypto_scalarmult_base(private))

    def shared_with(self, public: bytes) -> bytes:
        """Return the Diffie-Hellman result. Raises ProtocolViolation for a point of low order, whose result is not secret."""
        try:
            return crypto_scalarmult(self.private, public)
        except RuntimeError:
            raise ProtocolViolation(_LAYER, "a public key that is not a point of low order", public) from None


class CipherState:
    """A key and its message counter.

    Args:
        cipher: the cipher under the key.

    Attributes:
        cipher: as given.
        count: number of messages so far.
    """

    __slots__ = ("cipher", "count")

    def __init__(self, cipher: Cipher) -> None:
        self.cipher = cipher
        self.count = 0

    def encrypt(self, data: bytes, associated_data: bytes = b"") -> bytes:
        """Encrypt the next message."""
        nonce = _nonce(self.count)
        self.count += 1
        return self.cipher.encrypt(nonce, data, associated_data)

    def decrypt(self, data: bytes, associated_data: bytes = b"") -> bytes:
        """Decrypt the next message. Raises ProtocolViolation if it is not authentic."""
        nonce = _nonce(self.count)
        self.count += 1
        try:
            return self.cipher.decrypt(nonce, data, associated_data)
        except self.cipher.mismatch:
            raise not_authentic(data) from None


def not_authentic(data: bytes) -> ProtocolViolation:
    """Return the error for a message that failed authentication."""
    return ProtocolViolation(_LAYER, "an authentic message", f"{len(data)} bytes that are not")


class SymmetricState:
    """The chaining key, the hash and the current cipher key of a handshake."""

    def __init__(self, make_cipher: Callable[[bytes], Cipher], prologue: bytes) -> None:
        self._make_cipher = make_cipher
        self._chaining_key = self.hash = _NAME
        self._cipher: CipherState | None = None
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        """Mix data known to both ends into the hash."""
        self.hash = sha256(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        """Derive a new chaining key and a new cipher key."""
        self._chaining_key, key = self._hkdf(secret)
        self._cipher = CipherState(self._make_cipher(key))

    def encrypt_and_hash(self, data: bytes) -> bytes:
        """Encrypt, if there is a key, and add the ciphertext to the hash."""
        out = data if self._cipher is None else self._cipher.encrypt(data, self.hash)
        self.mix_hash(out)
        return out

    def decrypt_and_hash(self, data: bytes) -> bytes:
        """Undo `encrypt_and_hash`. Raises ProtocolViolation."""
        out = data if self._cipher is None else self._cipher.decrypt(data, self.hash)
        self.mix_hash(data)
        return out

    def split(self) -> tuple[CipherState, CipherState]:
        """Return the two keys of the channel: from the dialling to the listening end, and back."""
        first, second = self._hkdf(b"")
        return CipherState(self._make_cipher(first)), CipherState(self._make_cipher(second))

    def _hkdf(self, secret: bytes) -> tuple[bytes, bytes]:
        temporary = hmac.digest(self._chaining_key, secret, "sha256")
        first = hmac.digest(temporary, b"\1", "sha256")
        return first, hmac.digest(temporary, first + b"\2", "sha256")


class HandshakeState:
    """One end of the XX handshake: messages are written and read in turn, the dialling end's first.

    Args:
        static: the own static key.
        ephemeral: the own ephemeral key, never used before.
        make_cipher: creates the cipher of a key.
        prologue: data both ends have agreed on before.

    Attributes:
        symmetric: the state of keys and hash.
        remote_static: the other end's static key, once read.
    """

    def __init__(
        self,
        static: KeyExchangeKey,
        ephemeral: KeyExchangeKey,
        make_cipher: Callable[[bytes], Cipher],
        prologue: bytes = b"",
    ) -> None:
        self.symmetric = SymmetricState(make_cipher, prologue)
        self.remote_static = b""
        self._static = static
        self._ephemeral = ephemeral
        self._remote_ephemeral = b""

    def write_first(self, payload: bytes) -> bytes:
        """Write message 1: -> e."""
        return self._write_ephemeral() + self.symmetric.encrypt_and_hash(payload)

    def read_first(self, message: bytes) -> bytes:
        """Read message 1; return its payload. Raises ProtocolViolation."""
        return self.symmetric.decrypt_and_hash(self._read_ephemeral(message))

    def write_second(self, payload: bytes) -> bytes:
        """Write message 2: <- e, ee, s, es."""
        symmetric = self.symmetric
        ephemeral = self._write_ephemeral()
        symmetric.mix_key(self._ephemeral.shared_with(self._remote_ephemeral))
        static = symmetric.encrypt_and_hash(self._static.public)
        symmetric.mix_key(self._static.shared_with(self._remote_ephemeral))
        return ephemeral + static + symmetric.encrypt_and_hash(payload)

    def read_second(self, message: bytes) -> bytes:
        """Read message 2; return its payload. Raises ProtocolViolation."""
        symmetric = self.symmetric
        rest = self._read_ephemeral(message)
        symmetric.mix_key(self._ephemeral.shared_with(self._remote_ephemeral))
        rest = self._read_static(rest)
        symmetric.mix_key(self._ephemeral.shared_with(self.remote_static))
        return symmetric.decrypt_and_hash(rest)

    def write_third(self, payload: bytes) -> bytes:
        """Write message 3: -> s, se."""
        symmetric = self.symmetric
        static = symmetric.encrypt_and_hash(self._static.public)
        symmetric.mix_key(self._static.shared_with(self._remote_ephemeral))
        return static + symmetric.encrypt_and_hash(payload)

    def read_third(self, message: bytes) -> bytes:
        """Read message 3; return its payload. Raises ProtocolViolation."""
        rest = self._read_static(message)
        self.symmetric.mix_key(self._ephemeral.shared_with(self.remote_static))
        return self.symmetric.decrypt_and_hash(rest)

    def _write_ephemeral(self) -> bytes:
        self.symmetric.mix_hash(self._ephemeral.public)
        return self._ephemeral.public

    def _read_ephemeral(self, message: bytes) -> bytes:
        if len(message) < KEY_BYTES:
            raise ProtocolViolation(_LAYER, "a message with an ephemeral key", message)
        self._remote_ephemeral = message[:KEY_BYTES]
        self.symmetric.mix_hash(self._remote_ephemeral)
        return message[KEY_BYTES:]

    def _read_static(self, message: bytes) -> bytes:
        end = KEY_BYTES + TAG_BYTES
        if len(message) < end:
            raise ProtocolViolation(_LAYER, "a message with a static key", message)
        self.remote_static = self.symmetric.decrypt_and_hash(message[:end])
        return message[end:]


def make_payload(identity: Identity, static: KeyExchangeKey) -> bytes:
    """Return the payload that proves the identity of the static key's owner."""
    extensions = NoiseExtensions(stream_muxers=[name.encode() for name in identity.muxers]) if identity.muxers else None
    return NoiseHandshakePayload(
        identity_key=marshal_public_key(identity.peer_id),
        identity_sig=identity.sign(SIGNED_PREFIX + static.public),
        extensions=extensions,
    ).SerializeToString()


def read_payload(data: bytes, remote_static: bytes) -> tuple[PeerId, tuple[bytes, ...]]:
    """Return the identity of the other end, and its muxers.

    Raises:
        ProtocolViolation: an invalid payload, or one not signed by its identity key.
        KeyTypeNotSupported: the identity key is not an Ed25519 key.
    """
    try:
        payload = NoiseHandshakePayload.FromString(data)
    except DecodeError:
        raise ProtocolViolation(_LAYER, "a handshake payload", data) from None
    peer = peer_id_of_key(payload.identity_key, layer=_LAYER)
    if not is_signed(SIGNED_PREFIX + remote_static, payload.identity_sig, public_key_of(peer)):
        raise ProtocolViolation(_LAYER, "a static key signed by the peer's identity key", payload.identity_sig)
    return peer, tuple(payload.extensions.stream_muxers)


def dial_noise(identity: Identity, expected: PeerId | None) -> Steps[Secured]:
    """Return the steps of the dialling end. The other end's identity is checked before the own one is sent.

    Raises:
        WrongPeer: a peer other than the expected one answered.
        ProtocolViolation, KeyTypeNotSupported: the handshake failed.
    """
    static = KeyExchangeKey.of(identity.random(KEY_BYTES))
    state = HandshakeState(static, KeyExchangeKey.of(identity.random(KEY_BYTES)), identity.make_cipher)
    yield _framed(state.write_first(b""))
    message = yield from _read_message()
    peer, muxers = read_payload(state.read_second(message), state.remote_static)
    if expected is not None and peer != expected:
        raise WrongPeer(expected, peer)
    yield _framed(state.write_third(make_payload(identity, static)))
    sending, receiving = state.symmetric.split()
    chosen = _choose_muxer([name.encode() for name in identity.muxers], muxers)
    return Secured(peer, NoiseChannel(sending, receiving), chosen)


def accept_noise(identity: Identity) -> Steps[Secured]:
    """Return the steps of the listening end.

    Raises:
        ProtocolViolation, KeyTypeNotSupported: the handshake failed.
    """
    static = KeyExchangeKey.of(identity.random(KEY_BYTES))
    state = HandshakeState(static, KeyExchangeKey.of(identity.random(KEY_BYTES)), identity.make_cipher)
    state.read_first((yield from _read_message()))
    yield _framed(state.write_second(make_payload(identity, static)))
    message = yield from _read_message()
    peer, muxers = read_payload(state.read_third(message), state.remote_static)
    receiving, sending = state.symmetric.split()
    chosen = _choose_muxer(muxers, [name.encode() for name in identity.muxers])
    return Secured(peer, NoiseChannel(sending, receiving), chosen)


def _choose_muxer(dialler: Sequence[bytes], listener: Sequence[bytes]) -> str | None:
    """Return the first of the dialling end's muxers that the listening end supports; None if either named none.

    Raises:
        ProtocolViolation: they have none in common.
    """
    if not dialler or not listener:
        return None
    for name in dialler:
        if name in listener:
            return name.decode()  # one of the own muxers
    raise ProtocolViolation(_LAYER, f"one of the muxers {list(listener)}", list(dialler))


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def _read_message() -> Steps[bytes]:
    size = int.from_bytes((yield 2), "big")
    if size > LONGEST_HANDSHAKE_MESSAGE:
        raise ProtocolViolation(_LAYER, f"a handshake message of at most {LONGEST_HANDSHAKE_MESSAGE} bytes", size)
    return (yield size) if size else b""


class NoiseChannel:
    """The channel after the handshake: messages with up to 65,519 bytes of encrypted plaintext. Implements Channel.

    It takes the keys and counters of both cipher states over, as every frame of a connection passes here.

    Args:
        sending: the cipher state for sending.
        receiving: the cipher state for receiving.

    Attributes:
        sent, received: messages sealed and opened so far, the nonces of the next.
    """

    __slots__ = ("_decrypt", "_encrypt", "_mismatch", "_partial", "received", "sent")

    def __init__(self, sending: CipherState, receiving: CipherState) -> None:
        self._encrypt = sending.cipher.encrypt
        self.sent = sending.count
        self._decrypt = receiving.cipher.decrypt
        self.received = receiving.count
        self._mismatch = receiving.cipher.mismatch
        self._partial: bytearray | None = None  # the beginning of a message

    @property
    def partial_bytes(self) -> int:
        """The size of an incomplete message."""
        return 0 if self._partial is None else len(self._partial)

    def seal(self, data: bytes) -> bytes:
        """Return the encrypted messages for data to be sent."""
        if len(data) > LONGEST_PLAINTEXT:
            return self._seal_all(data)
        count = self.sent
        self.sent = count + 1
        encrypt = self._encrypt  # read before the call: as a method it would be searched for in the class first
        sealed = encrypt(_nonce(count), data, None)
        return _size(len(sealed)) + sealed

    def _seal_all(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        for start in range(0, len(data), LONGEST_PLAINTEXT):
            sealed = self._encrypt(_nonce(self.sent), data[start : start + LONGEST_PLAINTEXT], None)
            self.sent += 1
            parts += _size(len(sealed)), sealed
        return b"".join(parts)

    def open(self, data: bytes) -> bytes:
        """Return the plaintext of the messages received completely. Raises ProtocolViolation."""
        end = len(data)
        if self._partial is not None or end < 2 or data[0] * 256 + data[1] + 2 != end:  # not the usual single message
            return self._open_all(data)
        count = self.received
        self.received = count + 1
        decrypt = self._decrypt
        try:
            return decrypt(_nonce(count), data[2:], None)
        except self._mismatch:
            raise not_authentic(data[2:]) from None

    def _open_all(self, data: bytes) -> bytes:
        partial = self._partial
        if partial is not None:
            partial += data
            if len(partial) < 2 or len(partial) < 2 + (partial[0] << 8 | partial[1]):
                return b""
            data = bytes(partial)
            self._partial = None
        position, end = 0, len(data)
        parts: list[bytes] = []
        while position + 2 <= end:
            stop = position + 2 + (data[position] << 8 | data[position + 1])
            if stop > end:
                break
            message = data[position + 2 : stop]
            try:
                parts.append(self._decrypt(_nonce(self.received), message, None))
            except self._mismatch:
                raise not_authentic(message) from None
            self.received += 1
            position = stop
        if position < end:
            self._partial = bytearray(data[position:])
        return b"".join(parts)
