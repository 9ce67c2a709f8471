"""The built-in replay validator: sequence numbers of one author only grow.

The seen cache forgets message ids after a time; this validator does not forget. It fits where authors sign (nobody else
can use up their numbers) and messages arrive in order or may be lost.

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
    """Where the largest accepted number of each author is kept; may outlive the host, and may fail."""

    def get(self, author: PeerId, /) -> int | None:
        """The author's number; None if there is none."""

    def put(self, author: PeerId, seqno: int, /) -> None:
        """Keep a number."""


class MemorySeqnoStore:
    """Keeps the numbers as long as the host lives."""

    def __init__(self) -> None:
        self._seqnos: dict[PeerId, int] = {}

    def get(self, author: PeerId, /) -> int | None:
        """Look the author's number up in memory."""
        return self._seqnos.get(author)

    def put(self, author: PeerId, seqno: int, /) -> None:
        """Keep the author's number in memory."""
        self._seqnos[author] = seqno


class SeqnoValidator:
    """Accepts a message if its sequence number is larger than all its author's before; ignores it otherwise.

    Call it as a validator, inline or not: it looks and keeps in one step, so that of two equal messages under
    validation at once only one passes (the reference looks again under a lock).

    Args:
        store: where the numbers are kept.
    """

    def __init__(self, store: SeqnoStore | None = None) -> None:
        self._store: SeqnoStore = MemorySeqnoStore() if store is None else store

    def __call__(self, peer: PeerId, message: Message) -> Verdict:
        """The verdict. A store that cannot be read means IGNORE, one that cannot be written is no reason not to accept."""
        author, seqno = message.source, message.seqno
        if len(seqno) != SEQNO_BYTES:
            return Verdict.IGNORE
        number = int.from_bytes(seqno, "big")
        try:
            largest = self._store.get(author) or 0
        except Exception:  # the store is the application's, and so are its errors
            _log.warning("the sequence number of an author cannot be read; its message is ignored", exc_info=True)
            return Verdict.IGNORE
        if number <= largest:
            return Verdict.IGNORE
        try:
            self._store.put(author, number)
        except Exception:  # the store is the application's, and so are its errors
            _log.warning("the sequence number of an author cannot be kept; its message is accepted", exc_info=True)
        return Verdict.ACCEPT
