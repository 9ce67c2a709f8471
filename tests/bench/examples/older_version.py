"""The example as it was before the inbox was shared (0297c9e), unchanged but for this line: it still has to work."""

import asyncio
from typing import Any

from pubsub_sim.drivers.baseline.pubsub_loop import PubsubLoop


class Callbacks(PubsubLoop):
    is_due = False

    def start(self) -> None:
        self.schedule()

    async def close(self) -> None:
        self._refuse_all()

    def submit(self, operation: Any) -> None:
        super().submit(operation)
        self.schedule()

    def offer_rpc(self, peer: Any, rpc: Any) -> bool:
        is_taken = super().offer_rpc(peer, rpc)
        self.schedule()
        return is_taken

    def schedule(self) -> None:
        if not self.is_due and not self.is_idle and not self._is_closed:
            self.is_due = True
            asyncio.get_running_loop().call_soon(self.take_turn)

    def take_turn(self) -> None:
        self.is_due = False
        try:
            self._turn()
        except Exception as error:
            self._refuse_all()
            self._seat.on_failure(error)
        self.schedule()


def make_driver(seat: Any) -> Callbacks:
    return Callbacks(seat)


def describe() -> dict[str, Any]:
    return {"summary": "a turn is a callback of the event loop, and not a task's", "machines": []}
