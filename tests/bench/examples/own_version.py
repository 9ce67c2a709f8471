"""A control flow of one's own over the same node: the baseline's turn, but as a callback; no task sleeps."""

import asyncio
from typing import Any

from pubsub_sim.drivers.baseline.pubsub_loop import PubsubLoop
from pubsub_sim.node.driver import HostContext
from pubsub_sim.node.inbox import TURN_ERRORS


class Callbacks(PubsubLoop):
    def start(self) -> None:
        self._rest()

    def _wake(self) -> None:
        asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        try:
            self._turn()
        except TURN_ERRORS as error:
            self._fail(error)
        self._rest()

    def _rest(self) -> None:
        self._is_asleep = self.is_idle
        if not self._is_asleep:
            self._wake()


def make_driver(context: HostContext) -> Callbacks:
    return Callbacks(context)


def describe() -> dict[str, Any]:
    return {"summary": "a turn is a callback of the event loop, and not a task's", "machines": []}
