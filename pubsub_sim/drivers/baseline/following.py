"""What does the loop of a host do, step by step? Tells each operation when its turn comes; for exhibits, never measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pubsub_sim.drivers.baseline.pubsub_loop import PubsubLoop
from pubsub_sim.protocol.operations import Eval
from pubsub_sim.wire.message import Message


def follow(driver: PubsubLoop, note: Callable[[str], None]) -> None:
    """Have `note` told of every operation the loop takes, before it acts. Call it before the driver starts."""

    def told(name: str, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        def handle(operation: Any) -> None:
            note(f"{name}: {operation.label}" if isinstance(operation, Eval) else name)
            handler(operation)

        return handle

    for kind, handler in driver._handlers.items():
        driver._handlers[kind] = told(kind.__name__, handler)
    hand_over = driver.hand_over

    def handed_over(message: Message) -> None:
        note("PublishMessage, in the same turn")
        hand_over(message)

    driver.hand_over = handed_over
