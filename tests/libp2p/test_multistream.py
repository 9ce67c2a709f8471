"""multistream-select: what two ends agree on, in pieces of any size, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim.libp2p.errors import Libp2pError, NotSupported, ProtocolViolation
from pubsub_sim.libp2p.exchange import Exchange
from pubsub_sim.libp2p.multistream import HEADER, LONGEST_TOKEN, MOST_PROPOSALS, choose, propose, token
from tests.libp2p.ends import converse

NAMES = st.lists(st.sampled_from([f"/protocol/{n}" for n in range(8)]), min_size=1, max_size=8, unique=True)


def test_tokens_are_those_of_the_specification() -> None:
    """Length with the newline, text, newline: `na` and the header are written as the specification shows them."""
    assert token("na") == bytes.fromhex("036e610a")
    assert HEADER == b"\x13/multistream/1.0.0\n"


@given(proposed=NAMES, served=NAMES, piece=st.integers(1, 64))
def test_the_first_proposal_that_is_served_is_taken(proposed: list[str], served: list[str], piece: int) -> None:
    """Both ends agree on the dialling end's first protocol that the other has, however the bytes are cut."""
    dialler, listener = Exchange(lambda: propose(proposed)), Exchange(lambda: choose(served))
    common = [name for name in proposed if name in served]
    if not common:
        with pytest.raises(NotSupported) as caught:
            converse(dialler, listener, piece=piece)
        assert caught.value.proposed == tuple(proposed)
        return
    converse(dialler, listener, piece=piece)
    assert dialler.result == listener.result == common[0]
    assert dialler.rest == listener.rest == b""


@given(st.binary(max_size=40), st.integers(1, 20))
def test_what_comes_behind_the_last_token_is_handed_on(behind: bytes, piece: int) -> None:
    """Data that stands in the same segment as the token belongs to the next reader."""
    listener = Exchange(lambda: choose(["/x"]))
    assert listener.begin() == HEADER
    data = HEADER + token("/x") + behind
    answers = b"".join(listener.receive(data[at : at + piece]) for at in range(0, len(data), piece))
    assert answers == token("/x")
    assert (listener.result, listener.rest) == ("/x", behind)


@pytest.mark.parametrize(
    "data",
    [
        b"\x13/multistream/2.0.0\n",
        b"GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: a browser\r\nAccept: */*\r\n\r\n",
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        b"\x83\x00abc",
        b"\x02\xff\n",
        b"\x03abc",
        b"\x00",
    ],
)
def test_what_is_no_header_ends_the_negotiation(data: bytes) -> None:
    """Another version, HTTP, an endless length, a padded one, no UTF-8, no newline, nothing."""
    for steps in (lambda: choose(["/x"]), lambda: propose(["/x"])):
        end = Exchange(steps)
        end.begin()
        with pytest.raises(ProtocolViolation, match="multistream"):
            end.receive(data)


def test_a_long_token_is_refused_at_its_length() -> None:
    """Nothing of it is waited for."""
    end = Exchange(lambda: choose(["/x"]))
    end.begin()
    size = LONGEST_TOKEN + 1
    with pytest.raises(ProtocolViolation, match="at most 1024"):
        end.receive(bytes((size & 0x7F | 0x80, size >> 7)))


def test_proposals_are_numbered() -> None:
    """An end that proposes for ever is cut off."""
    end = Exchange(lambda: choose(["/x"]))
    end.begin()
    with pytest.raises(NotSupported):
        end.receive(HEADER + token("/y") * MOST_PROPOSALS)


@given(st.lists(st.binary(max_size=30), max_size=20), st.booleans())
def test_arbitrary_bytes_end_in_agreement_refusal_or_waiting(parts: list[bytes], dials: bool) -> None:
    """No bytes lead to anything but the errors of the protocol."""
    end = Exchange(lambda: propose(["/x"]) if dials else choose(["/x"]))
    end.begin()
    try:
        for part in parts:
            end.receive(part)
    except Libp2pError:
        return
    assert not end.is_over or end.result == "/x"
