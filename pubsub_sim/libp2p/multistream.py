"""multistream-select 1.0: negotiation of a protocol at the start of a connection or stream.

A token is a varint length, a text and a newline, which the length includes. Both ends begin with `/multistream/1.0.0`. The
dialling end proposes protocols one at a time; the listening end answers with the same token, or `na`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pubsub_sim.libp2p.errors import NotSupported, ProtocolViolation
from pubsub_sim.libp2p.exchange import Steps, read_delimited
from pubsub_sim.libp2p.varint import encode_varint

MULTISTREAM = "/multistream/1.0.0"
NOT_AVAILABLE = "na"

LONGEST_TOKEN = 1024
"""Maximal size of a token in bytes, including its newline (go-multistream's limit)."""

MOST_PROPOSALS = 64
"""Number of refused proposals after which the listening end gives up."""

_LAYER = "multistream"


def token(text: str) -> bytes:
    """Return the bytes of a token."""
    line = text.encode() + b"\n"
    return encode_varint(len(line)) + line


HEADER = token(MULTISTREAM)


def propose(protocols: Sequence[str]) -> Steps[str]:
    """Return the steps of the dialling end: propose protocols, best first; the result is the accepted one.

    Raises:
        NotSupported: none was accepted.
        ProtocolViolation: the other end sent an invalid answer.
    """
    yield HEADER + token(protocols[0])
    yield from _read_header()
    for number, protocol in enumerate(protocols):
        if number:
            yield token(protocol)
        answer = yield from _read_token()
        if answer == protocol:
            return protocol
        if answer != NOT_AVAILABLE:
            raise ProtocolViolation(_LAYER, f"{protocol!r} or 'na'", answer)
    raise NotSupported(protocols)


def choose(protocols: Collection[str]) -> Steps[str]:
    """Return the steps of the listening end: accept the first proposal among `protocols`.

    Raises:
        NotSupported: too many unsupported protocols were proposed.
        ProtocolViolation: the other end sent an invalid token.
    """
    yield HEADER
    yield from _read_header()
    refused: list[str] = []
    while len(refused) < MOST_PROPOSALS:
        proposal = yield from _read_token()
        if proposal in protocols:
            yield token(proposal)
            return proposal
        refused.append(proposal)
        yield _NA
    raise NotSupported(refused)


def _read_header() -> Steps[None]:
    header = yield from _read_token()
    if header != MULTISTREAM:
        raise ProtocolViolation(_LAYER, repr(MULTISTREAM), header)


def _read_token() -> Steps[str]:
    line = yield from read_delimited(LONGEST_TOKEN, _LAYER)
    if not line.endswith(b"\n"):
        raise ProtocolViolation(_LAYER, "a token that ends with a newline", line)
    try:
        return line[:-1].decode()
    except UnicodeDecodeError:
        raise ProtocolViolation(_LAYER, "a token in UTF-8", line) from None


_NA = token(NOT_AVAILABLE)
