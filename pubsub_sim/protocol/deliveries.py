"""Delivery records for the peer score, one per message id: the peers that delivered the message, and its outcome."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from pubsub_sim.protocol.seen import cache_key

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId


class Fate(enum.Enum):
    """The outcome of a message (go-libp2p-pubsub `deliveryUnknown` and so on)."""

    UNKNOWN = 0
    VALID = 1
    INVALID = 2
    IGNORED = 3
    THROTTLED = 4


class Delivery:
    """The record of one message.

    Attributes:
        topic: its topic; empty while only duplicates of it were seen.
        fate: its outcome.
        validated_ns: time of its acceptance; valid once `fate` is VALID.
        peers: the peers after the first that delivered it; a dict, for a deterministic order.
        expiry_ns: expiry of this record.
    """

    __slots__ = ("expiry_ns", "fate", "peers", "topic", "validated_ns")

    def __init__(self, topic: str, expiry_ns: int) -> None:
        self.topic = topic
        self.fate = Fate.UNKNOWN
        self.validated_ns = 0
        self.peers: dict[PeerId, None] = {}
        self.expiry_ns = expiry_ns


class Deliveries:
    """The records of one host.

    Args:
        ttl_ns: lifetime of a record from the first sight of its message.

    Source: go-libp2p-pubsub `messageDeliveries`.
    """

    __slots__ = ("_records", "_ttl_ns")

    def __init__(self, ttl_ns: int) -> None:
        self._ttl_ns = ttl_ns
        self._records: dict[bytes, Delivery] = {}

    def of(self, message_id: bytes, topic: str, now_ns: int) -> Delivery:
        """Return the record of a message, created on first use.

        Args:
            message_id: its id.
            topic: its topic, or "" if only the id is known.
            now_ns: the time.
        """
        message_id = cache_key(message_id)
        record = self._records.get(message_id)
        if record is None:
            record = self._records[message_id] = Delivery(topic, now_ns + self._ttl_ns)
        elif topic:
            record.topic = topic
        return record

    def sweep(self, now_ns: int) -> int:
        """Remove the expired records and return their number."""
        expired = []
        for message_id, record in self._records.items():
            if record.expiry_ns >= now_ns:  # insertion order is expiry order: the TTL is constant
                break
            expired.append(message_id)
        for message_id in expired:
            del self._records[message_id]
        return len(expired)

    def __len__(self) -> int:
        return len(self._records)
