"""The message cache (`mcache`): messages of the last heartbeats, for gossip and answers to IWANT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionConflict

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message


MORE_OFFERED_THAN_KEPT = "a message that is forgotten cannot be offered"


class MessageCache:
    """Messages by id, in slots of one heartbeat each, newest first.

    Args:
        gossip: slots whose ids are gossiped.
        history: slots whose messages are kept.

    Raises:
        OptionConflict: more slots gossiped than kept.
    """

    def __init__(self, gossip: int, history: int) -> None:
        if gossip > history:
            raise OptionConflict("history_gossip", gossip, "history_length", history, MORE_OFFERED_THAN_KEPT)
        self._gossip = gossip
        self._history = history
        self._messages: dict[bytes, Message] = {}
        self._sent: dict[bytes, dict[PeerId, int]] = {}  # id -> number of answers to each peer's requests
        # ids by topic
        self._slots: list[dict[str, list[bytes]]] = [{} for _ in range(history)]
        self.get = self._messages.get

    def put(self, message: Message) -> None:
        """Add a message to the newest slot; a repeated one is listed twice."""
        self._messages[message.id] = message
        self._slots[0].setdefault(message.topic, []).append(message.id)

    def get_for_peer(self, message_id: bytes, peer: PeerId) -> tuple[Message, int] | None:
        """Return a message requested by a peer, and the number of times it was sent to that peer; None if not cached."""
        message = self._messages.get(message_id)
        if message is None:
            return None
        sent = self._sent.setdefault(message_id, {})
        sent[peer] = count = sent.get(peer, 0) + 1
        return message, count

    def gossip_ids(self, topic: str) -> list[bytes]:
        """Return the ids of a topic in the gossiped slots, newest slot first."""
        if not self._messages:
            return []
        return [message_id for slot in self._slots[: self._gossip] for message_id in slot.get(topic, ())]

    def shift(self) -> None:
        """Drop the oldest slot and begin a new one, at each heartbeat."""
        oldest = self._slots.pop()
        for ids in oldest.values():
            for message_id in ids:
                self._messages.pop(message_id, None)
                self._sent.pop(message_id, None)
        self._slots.insert(0, {})

    def __len__(self) -> int:
        return len(self._messages)
