"""A client that asks a slow server, gives each try a time-out, and tries again after a pause.

The pause, the try and its time-out are work of a state: whoever removes `Start` cancels whatever is under way.
"""

from __future__ import annotations

import asyncio

from asyncmachine import Event, Machine, Schema, State

STEPS = ("Requesting", "BackingOff", "Answered", "GaveUp")


class ClientStates(Schema):
    Start = State(add="Requesting")
    Requesting = State(require="Start", remove=STEPS)
    BackingOff = State(require="Start", remove=STEPS)
    Answered = State(require="Start", remove=STEPS)
    GaveUp = State(require="Start", remove=STEPS)


class Client:
    def __init__(self, tries: int) -> None:
        self.tries_left = tries
        self.machine = Machine(ClientStates, id="client", handlers=self)

    async def RequestingState(self, e: Event) -> None:
        self.tries_left -= 1
        try:
            async with asyncio.timeout(0.01):
                answer = await slow_server(self.tries_left)
        except TimeoutError:
            e.machine.add("BackingOff" if self.tries_left else "GaveUp")
        else:
            e.machine.add("Answered", answer=answer)

    async def BackingOffState(self, e: Event) -> None:
        print(f"no answer, {self.tries_left} tries left")
        await asyncio.sleep(0.01)
        e.machine.add("Requesting")

    def AnsweredState(self, e: Event) -> None:
        print("answer:", e.args["answer"])


async def slow_server(tries_left: int) -> str:
    await asyncio.sleep(1 if tries_left > 1 else 0)
    return "42"


async def main() -> None:
    machine = Client(tries=4).machine
    machine.add("Start")
    await machine.when("Answered")
    machine.dispose()


asyncio.run(main())
