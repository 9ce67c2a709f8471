"""Sending one message to many peers: one frame, encoded once, and never back to its sender or author."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.wire.message import Message


def send_message(core: Core, message: Message, peers: Iterable[PeerId]) -> None:
    """Send to peers, but not to the one it came from nor to its author; a full queue loses it."""
    frame = message.frame  # encoded once, shared by all peers
    outboxes = core.peers
    sender, author = message.received_from, message.source
    if core.tracer is not None:
        for peer in peers:
            if peer not in (sender, author) and peer in outboxes:
                core.send(peer, frame)
        return
    for peer in peers:
        if peer == sender or peer == author:  # noqa: SIM109 - a tuple per peer costs more than the comparison
            continue
        outbox = outboxes.get(peer)
        if outbox is not None:
            outbox.push(frame)
