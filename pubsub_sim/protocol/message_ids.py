"""The ids of messages: a topic's own function, else the host's, else author and sequence number.

Equal ids are duplicates. The functions are the application's (`WithMessageIdFn` of go-libp2p-pubsub), and may fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.foreign import as_bytes, ask
from pubsub_sim.wire.message import author_and_seqno

if TYPE_CHECKING:
    from pubsub_sim.foreign import ForeignCode
    from pubsub_sim.protocol.options import MessageId
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


class MessageIds:
    """Gives the ids of one host's messages, its own and those it receives; may be asked any time.

    Args:
        function: the host's function; None for author and sequence number.
        foreign: keeps account of what the functions raise.

    Attributes:
        are_chosen: whether any message has an id other than author and sequence number.
    """

    def __init__(self, function: MessageId | None, foreign: ForeignCode) -> None:
        self.are_chosen = function is not None
        self._function = function
        self._foreign = foreign
        self._by_topic: dict[str, MessageId] = {}

    def set_function(self, topic: str, function: MessageId | None) -> None:
        """From now on, the ids of a topic's messages come from this function; None for the host's."""
        self._by_topic.pop(topic, None)
        if function is not None:
            self._by_topic[topic] = function
        self.are_chosen = self._function is not None or bool(self._by_topic)

    def of(self, wire: WireMessage) -> bytes:
        """The id of a message.

        Raises:
            UnusableAnswer: the function gives no bytes.
            whatever else it raises.
        """
        function = self._by_topic.get(wire.topic, self._function)
        return wire.author + wire.seqno if function is None else ask("message id", function, as_bytes, wire)

    def of_received(self, wire: WireMessage) -> bytes | None:
        """The id of a peer's message; None if the function that gives it fails on it."""
        try:
            return self.of(wire)
        except Exception as error:  # the function is the application's, and so are its errors
            self._foreign.note("message id", error, "the message is dropped")
            return None

    def for_evaluation(self, wire: WireMessage) -> bytes:
        """The id of a peer's message for those who evaluate peers; author and number if there is no other."""
        message_id = self.of_received(wire)
        return author_and_seqno(wire) if message_id is None else message_id
