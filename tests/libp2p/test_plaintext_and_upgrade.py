"""The upgrade of a connection, whatever is agreed on and however its bytes are cut; and plaintext."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pubsub_sim.errors import OptionError
from pubsub_sim.ids import PeerId
from pubsub_sim.libp2p.errors import Libp2pError, NotSupported, ProtocolViolation, WrongPeer
from pubsub_sim.libp2p.exchange import Exchange
from pubsub_sim.libp2p.messages_pb2 import PlaintextExchange
from pubsub_sim.libp2p.noise import NOISE
from pubsub_sim.libp2p.plaintext import PLAINTEXT, exchange_plaintext
from pubsub_sim.libp2p.upgrade import SECURITY, Upgrade
from pubsub_sim.libp2p.varint import encode_varint
from pubsub_sim.libp2p.yamux import YAMUX
from tests.libp2p.ends import converse, identity_of, key_of


def ends(
    ours: tuple[str, ...] = SECURITY,
    theirs: tuple[str, ...] = SECURITY,
    *,
    muxers: tuple[str, ...] = (YAMUX,),
    expected: PeerId | None = None,
) -> tuple[Upgrade, Upgrade]:
    dialler = Upgrade(identity_of("dialler"), ours, is_dialler=True, expected=expected)
    return dialler, Upgrade(identity_of("listener", muxers=muxers), theirs, is_dialler=False)


@settings(max_examples=60)
@given(
    piece=st.integers(1, 600),
    ours=st.permutations(SECURITY),
    theirs=st.sampled_from([SECURITY, (NOISE,), (PLAINTEXT,)]),
    muxers=st.sampled_from([(YAMUX,), ()]),
)
def test_two_ends_agree(piece: int, ours: list[str], theirs: tuple[str, ...], muxers: tuple[str, ...]) -> None:
    """Security, identities and muxer, with the muxer in the handshake or after it, in pieces of any size."""
    dialler, listener = ends(tuple(ours), theirs, muxers=muxers)
    converse(dialler, listener, piece=piece)
    assert dialler.is_over
    assert listener.is_over
    assert dialler.security == listener.security == next(name for name in ours if name in theirs)
    assert dialler.is_early == listener.is_early == (dialler.security == NOISE and bool(muxers))
    assert dialler.secured.peer == key_of("listener").peer_id
    assert listener.secured.peer == key_of("dialler").peer_id
    assert dialler.rest == listener.rest == b""
    assert listener.secured.channel.open(dialler.secured.channel.seal(b"hello")) == b"hello"


def test_a_protocol_that_is_none_of_ours_is_not_taken_for_noise() -> None:
    """Two ends that both propose a name agree on it, whatever it is."""
    with pytest.raises(OptionError, match="'plaintext'"):
        converse(*ends(("plaintext",), ("plaintext",)))


@pytest.mark.parametrize(("security", "muxers"), [*itertools.product(SECURITY, [(YAMUX,), ()])])
@given(piece=st.integers(1, 400), early=st.binary(max_size=60))
@settings(max_examples=25)
def test_what_comes_behind_the_upgrade_is_not_lost(
    security: str, muxers: tuple[str, ...], piece: int, early: bytes
) -> None:
    """The dialling end may write at once: what stands behind its last message reaches the muxer, decrypted."""
    dialler, listener = ends((security,), muxers=muxers)
    to_listener, to_dialler = dialler.begin(), listener.begin()
    while not dialler.is_over:
        answer, to_dialler = to_dialler, b""
        sent = dialler.receive(answer)
        if dialler.is_over:
            to_listener += sent + dialler.secured.channel.seal(early)
            break
        to_dialler = listener.receive(to_listener + sent)
        to_listener = b""
    found = b""
    for at in range(0, len(to_listener), piece):
        data = to_listener[at : at + piece]
        if listener.is_over:
            found += listener.secured.channel.open(data)
        else:
            listener.receive(data)
            if listener.is_over:
                found = listener.rest
    assert found == early


def test_ends_without_a_common_protocol_say_so() -> None:
    """The dialling end names what it proposed."""
    with pytest.raises(NotSupported, match="/noise"):
        converse(*ends((NOISE,), (PLAINTEXT,)))


@pytest.mark.parametrize("security", SECURITY)
def test_the_dialling_end_notices_a_wrong_peer(security: str) -> None:
    """With either protocol."""
    with pytest.raises(WrongPeer, match="answered"):
        converse(*ends((security,), expected=key_of("somebody").peer_id))


def test_plaintext_checks_that_id_and_key_belong_together() -> None:
    """A peer cannot tell one id and another's key."""
    one, other = (key_of(name).peer_id for name in ("one", "other"))
    end = Exchange(lambda: exchange_plaintext(identity_of("end"), None))
    end.begin()
    message = PlaintextExchange(id=one, public_key=other[2:]).SerializeToString()
    with pytest.raises(ProtocolViolation, match="peer id of the key"):
        end.receive(encode_varint(len(message)) + message)


@given(st.lists(st.binary(max_size=400), max_size=8), st.booleans(), st.sampled_from([(NOISE,), (PLAINTEXT,)]))
def test_arbitrary_bytes_never_upgrade_a_connection(parts: list[bytes], dials: bool, security: tuple[str, ...]) -> None:
    """No bytes lead to anything but waiting or the errors of the protocols."""
    end = Upgrade(identity_of("end"), security, is_dialler=dials)
    end.begin()
    try:
        for part in parts:
            end.receive(part)
    except Libp2pError:
        return
    assert not end.is_over


@settings(max_examples=150)
@given(data=st.data(), security=st.sampled_from(SECURITY), is_dialler=st.booleans())
def test_a_conversation_that_goes_wrong_somewhere_ends_with_an_error_or_waits(
    data: st.DataObject, security: str, is_dialler: bool
) -> None:
    """Bytes of a real conversation, changed, cut out or doubled at a random place, raise nothing else."""
    recorded = []
    dialler, listener = ends((security,))
    waiting = [(listener, dialler.begin()), (dialler, listener.begin())]
    while waiting:
        receiver, sent = waiting.pop(0)
        recorded.append((receiver is dialler, sent))
        answer = receiver.receive(sent)
        if answer:
            waiting.append((dialler if receiver is listener else listener, answer))
    stream = b"".join(sent for to_dialler, sent in recorded if to_dialler is is_dialler)
    at = data.draw(st.integers(0, len(stream) - 1))
    length = data.draw(st.integers(0, 20))
    changed = data.draw(st.binary(max_size=20))
    victim = ends((security,))[0 if is_dialler else 1]
    victim.begin()
    try:
        victim.receive(stream[:at] + changed + stream[at + length :])
    except Libp2pError:
        return
