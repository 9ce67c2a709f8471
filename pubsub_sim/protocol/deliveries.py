"""Delivery records, one per message id: who brought the message and what became of it, for the peer score.

Knows nothing of scores.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from pubsub_sim.protocol.seen import cache_key

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId


class Fate(enum.Enum):
    """What became of a message (go-libp2p-pubsub `deliveryUnknown` and so on)."""

    UNKNOWN = 0
    VALID = 1
    INVALID = 2
    IGNORED = 3
    THROTTLED = 4


class Delivery:
    """What is known of one message.

    Attributes:
        topic: its topic; empty while nothing but duplicates was seen of it.
        fate: what became of it.
        validated_ns: when it was accepted; meaningful once `fate` is VALID.
        peers: who brought it beside the first; a dict, so that the order is no accident.
        expiry_ns: until when this is remembered.
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
        ttl_ns: how long a message is remembered after it was first seen.

    Source: go-libp2p-pubsub `messageDeliveries`.
    """

    __slots__ = ("_records", "_ttl_ns")

    def __init__(self, ttl_ns: int) -> None:
        self._ttl_ns = ttl_ns
        self._records: dict[bytes, Delivery] = {}

    def of(self, message_id: bytes, topic: str, now_ns: int) -> Delivery:
        """The record of a message, a new one if there is none.

        Args:
            message_id: of the message.
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
        """Forget what has expired; gives how many records that were."""
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
