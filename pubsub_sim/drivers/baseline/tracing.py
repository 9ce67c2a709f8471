"""Tracing of the operations of a host's event loop; for illustrations, never measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pubsub_sim.drivers.baseline.pubsub_loop import PubsubLoop
from pubsub_sim.protocol.operations import Eval
from pubsub_sim.protocol.pending import Pending


def trace(driver: PubsubLoop, note: Callable[[str], None]) -> None:
    """Call `note` for every operation before the loop handles it. Call this before the driver starts."""

    def wrap(name: str, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        def handle(operation: Any) -> None:
            note(f"{name}: {operation.label}" if isinstance(operation, Eval) else name)
            handler(operation)

        return handle

    for kind, handler in driver.handlers.items():
        name = "PublishMessage, in the same turn" if kind is Pending else kind.__name__
        driver.handlers[kind] = wrap(name, handler)
