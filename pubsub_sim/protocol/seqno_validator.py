"""The built-in replay validator: sequence numbers of an author must increase.

Unlike the seen cache, this validator does not expire. It is suitable if authors sign (so that others cannot use up their
numbers) and messages arrive in order or may be lost.

Source: go-libp2p-pubsub (May 2024), `validation_builtin.go` (`NewBasicSeqnoValidator`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.protocol.validation import Verdict

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message

_log = logging.getLogger("pubsub_sim.validation")

SEQNO_BYTES = 8


class SeqnoStore(Protocol):
    """A store of the largest accepted number of each author; may outlive the host, and may fail."""

    def get(self, author: PeerId, /) -> int | None:
        """Return the author's number; None if there is none."""

    def put(self, author: PeerId, seqno: int, /) -> None:
        """Store a number."""


class MemorySeqnoStore:
    """An in-memory store."""

    def __init__(self) -> None:
        self._seqnos: dict[PeerId, int] = {}

    def get(self, author: PeerId, /) -> int | None:
        """Return the author's number; None if there is none."""
        return self._seqnos.get(author)

    def put(self, author: PeerId, seqno: int, /) -> None:
        """Store the author's number."""
        self._seqnos[author] = seqno


class SeqnoValidator:
    """A validator that accepts a message if its sequence number exceeds all earlier ones of its author, else ignores it.

    It can be used inline or not: it compares and stores in one step, so that of two equal messages under concurrent
    validation only one passes (the reference compares again under a lock).

    Args:
        store: the store of the numbers.
    """

    def __init__(self, store: SeqnoStore | None = None) -> None:
        self._store: SeqnoStore = MemorySeqnoStore() if store is None else store

    def __call__(self, peer: PeerId, message: Message) -> Verdict:
        """Return the verdict. If the store cannot be read, the message is ignored; if it cannot be written, it is accepted."""
        author, seqno = message.source, message.seqno
        if len(seqno) != SEQNO_BYTES:
            return Verdict.IGNORE
        number = int.from_bytes(seqno, "big")
        try:
            largest = self._store.get(author) or 0
        except Exception:  # any error of the application's store
            _log.warning("the sequence number of an author cannot be read; its message is ignored", exc_info=True)
            return Verdict.IGNORE
        if number <= largest:
            return Verdict.IGNORE
        try:
            self._store.put(author, number)
        except Exception:  # any error of the application's store
            _log.warning("the sequence number of an author cannot be stored; its message is accepted", exc_info=True)
        return Verdict.ACCEPT
