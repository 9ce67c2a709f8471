"""The built-in sequence-number validator (V07 to V09 as far as no host is needed)."""

from __future__ import annotations

import logging
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.seen import SeenCache
from pubsub_sim.protocol.seqno_validator import MemorySeqnoStore, SeqnoValidator
from pubsub_sim.protocol.validation import Verdict
from pubsub_sim.wire.message import Message, outgoing
from tests.protocol.clocks import S, message_from

AUTHORS = [PeerId(bytes([number])) for number in range(20)]
PEER = AUTHORS[0]


def seqno_message(seqno: bytes) -> Message:
    wire = outgoing("t", b"", author=PEER, seqno=seqno)
    return Message(wire, PEER, source=PEER, seqno=seqno, topic="t", id=PEER + seqno)


@pytest.mark.parametrize("ttl_ns", [60 * S, 1], ids=["v07-ttl-1min", "v08-ttl-1ns"])
def test_v07_v08_messages_in_order_all_pass(ttl_ns: int) -> None:
    """100 messages of random authors, each accepted, whether the seen cache still knows the one before or not."""
    validate, cache, rng = SeqnoValidator(), SeenCache(ttl_ns), random.Random(1)
    for number in range(1, 101):
        message = message_from(PEER, number, author=rng.choice(AUTHORS))
        cache.sweep(number * S)
        assert cache.add(message.id, number * S)
        assert validate(PEER, message) is Verdict.ACCEPT


def test_v09_replayed_messages_never_pass_again() -> None:
    """A seen cache that forgets at once lets replays through; the validator ignores each, in whatever order."""
    validate, cache, rng = SeqnoValidator(), SeenCache(1), random.Random(1)
    sent = [message_from(PEER, number, author=rng.choice(AUTHORS)) for number in range(1, 101)]
    for message in sent:
        assert validate(PEER, message) is Verdict.ACCEPT
    replays = sent * 10
    rng.shuffle(replays)
    for number, message in enumerate(replays):
        cache.sweep(number * S)
        assert cache.add(message.id, number * S)
        assert validate(rng.choice(AUTHORS), message) is Verdict.IGNORE


@given(st.lists(st.tuples(st.sampled_from(AUTHORS[:3]), st.integers(0, 2**64 - 1) | st.integers(0, 5)), max_size=30))
def test_accepted_numbers_of_an_author_only_grow(arrivals: list[tuple[PeerId, int]]) -> None:
    """A message passes exactly if its number is above all its author's before, and above 0."""
    validate = SeqnoValidator()
    largest: dict[PeerId, int] = {}
    for author, seqno in arrivals:
        verdict = validate(PEER, message_from(PEER, seqno, author=author))
        assert (verdict is Verdict.ACCEPT) == (seqno > largest.get(author, 0))
        largest[author] = max(largest.get(author, 0), seqno)


@pytest.mark.parametrize("seqno", [b"", b"\1", b"\0" * 7 + b"\1\0", b"\0" * 8])
def test_a_message_without_a_usable_number_is_ignored(seqno: bytes) -> None:
    """Missing, of another length than 8 bytes, or zero."""
    assert SeqnoValidator()(PEER, seqno_message(seqno)) is Verdict.IGNORE


def test_a_store_outlives_its_validator() -> None:
    """A restarted host does not accept what it had before."""
    store = MemorySeqnoStore()
    assert SeqnoValidator(store)(PEER, message_from(PEER, 7)) is Verdict.ACCEPT
    assert SeqnoValidator(store)(PEER, message_from(PEER, 7)) is Verdict.IGNORE
    assert SeqnoValidator(store)(PEER, message_from(PEER, 8)) is Verdict.ACCEPT


class BrokenStore:
    """Fails when read or when written."""

    def __init__(self, *, on_get: bool) -> None:
        self._on_get = on_get

    def get(self, author: PeerId, /) -> int | None:
        if self._on_get:
            raise OSError("disk on fire")
        return None

    def put(self, author: PeerId, seqno: int, /) -> None:
        raise OSError("disk on fire")


@pytest.mark.parametrize(("on_get", "verdict"), [(True, Verdict.IGNORE), (False, Verdict.ACCEPT)])
def test_a_broken_store_is_reported(on_get: bool, verdict: Verdict, caplog: pytest.LogCaptureFixture) -> None:
    """Unreadable: the message is ignored. Unwritable: it is accepted. Both are logged."""
    with caplog.at_level(logging.WARNING):
        assert SeqnoValidator(BrokenStore(on_get=on_get))(PEER, message_from(PEER, 1)) is verdict
    assert "sequence number" in caplog.text
