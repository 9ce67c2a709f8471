"""The errors of a libp2p connection, by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.errors import CallerError, PubsubSimError, RemotePeerError
from pubsub_sim.ids import to_base58

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_VALUE = 60  # of a peer's value in a message


class Libp2pError(PubsubSimError):
    """Base of the errors that end a connection or a stream."""


class ProtocolViolation(Libp2pError, RemotePeerError):
    """The peer violated a protocol.

    Attributes:
        layer: the protocol, e.g. "yamux".
        expected: the expected value, as text.
        value: the received value.
    """

    def __init__(self, layer: str, expected: str, value: object) -> None:
        shown = repr(value)
        if len(shown) > _LONGEST_VALUE:
            shown = f"{shown[:_LONGEST_VALUE]}..."
        super().__init__(f"{layer}: expected {expected}, got {shown}")
        self.layer = layer
        self.expected = expected
        self.value = value


class NotSupported(Libp2pError, RemotePeerError):
    """The two ends have no protocol in common.

    Attributes:
        proposed: the protocols proposed by the dialling end, as far as known.
    """

    def __init__(self, proposed: Sequence[str]) -> None:
        super().__init__(f"supports none of {', '.join(proposed)}" if proposed else "no protocol in common")
        self.proposed = tuple(proposed)


class WrongPeer(Libp2pError, RemotePeerError):
    """Another peer answered at the dialled address.

    Attributes:
        expected: the dialled peer.
        found: the answering peer.
    """

    def __init__(self, expected: bytes, found: bytes) -> None:
        super().__init__(f"expected peer {to_base58(expected)}, {to_base58(found)} answered")
        self.expected = expected
        self.found = found


class KeyTypeNotSupported(Libp2pError, RemotePeerError):
    """The peer's identity key is not an Ed25519 key.

    Attributes:
        key_type: the number of its type in libp2p's PublicKey message.
    """

    def __init__(self, key_type: int) -> None:
        name = _KEY_TYPES.get(key_type, f"type {key_type}")
        super().__init__(f"the peer's identity is an {name} key, and only Ed25519 keys are supported")
        self.key_type = key_type


_KEY_TYPES = {0: "RSA", 1: "Ed25519", 2: "secp256k1", 3: "ECDSA"}


class MultiaddrError(Libp2pError, CallerError, ValueError):
    """An invalid multiaddr, as text or bytes.

    Attributes:
        value: the given value.
        reason: the problem, as text.
    """

    def __init__(self, value: str | bytes, reason: str) -> None:
        super().__init__(f"expected a multiaddr such as /ip4/127.0.0.1/tcp/4001, got {value!r}: {reason}")
        self.value = value
        self.reason = reason


class TooMuchUnsent(Libp2pError, RemotePeerError):
    """The peer sends requests without reading the answers.

    Attributes:
        unsent_bytes: size of the queued answers.
        limit_bytes: the limit.
    """

    def __init__(self, unsent_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{unsent_bytes} bytes of answers are queued for a peer that does not read; the limit is {limit_bytes}"
        )
        self.unsent_bytes = unsent_bytes
        self.limit_bytes = limit_bytes


class TooManyStreams(Libp2pError, RemotePeerError):
    """A stream was not opened because too many are unanswered.

    Attributes:
        unanswered: number of unanswered streams.
    """

    def __init__(self, unanswered: int) -> None:
        super().__init__(f"{unanswered} streams have not been answered yet")
        self.unanswered = unanswered
