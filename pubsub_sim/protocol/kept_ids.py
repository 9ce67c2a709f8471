"""What does a table keep of a message id? Its authors choose how long it is, up to the size of an RPC.

Honest ids are short: an Ed25519 peer id and a sequence number are 46 bytes. Tables that hold ids of messages that are gone
(seen ones, refused ones, promised ones) would hold as many bytes as were received in their whole time, in the reference
too. Ours hold 64 at most; what is sent, cached or shown keeps its id as it is.
"""

from __future__ import annotations

import hashlib

WHOLE_BYTES = 63
"""Longest id that is kept as it is: shorter than a digest, so that no id can pass for the digest of another."""


def kept_id(message_id: bytes) -> bytes:
    """The id itself, or the SHA-512 of a long one (for IDONTWANT as the reference's `computeChecksum`, SHA-256 over 32)."""
    return message_id if len(message_id) <= WHOLE_BYTES else hashlib.sha512(message_id).digest()
