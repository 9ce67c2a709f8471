"""The program of `tests/data/am-dbg/recorded_program.go`, in Python: parent and child, steps, logs, queued, rejected, source links."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asyncmachine import Machine
from asyncmachine.logs import args_mapper
from asyncmachine.relations import ADD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncmachine import Event
    from asyncmachine.tracing import Tracer

PARENT = {
    "Start": {},
    "Ready": {"auto": True, "require": ["Start"]},
    "Work": {"require": ["Ready"], "remove": ["Done"], "tags": ["t1"]},
    "Done": {"remove": ["Work"], "add": ["Event"]},
    "Event": {"multi": True, "after": ["Ready"]},
    "Refused": {},
    "Exception": {"multi": True},
}
CHILD = {"Ping": {"multi": True}, "Idle": {"auto": True}, "Exception": {"multi": True}}


class Handlers:
    child: Machine

    def RefusedEnter(self, event: Event) -> bool:
        return False

    def WorkState(self, event: Event) -> None:
        # what pipes do: a mutation of another machine that names its source
        self.child._submit(ADD, ("Ping",), {"n": 7, "secret": "x"}, event.source())
        event.add("Done")

    def ExceptionState(self, event: Event) -> None:
        pass


def play(tracers: Iterable[Tracer], *, log_level: int = 0) -> tuple[Machine, Machine]:
    """Run the program; the machines are traced from the beginning."""

    async def main() -> tuple[Machine, Machine]:
        handlers = Handlers()
        parent = Machine(
            PARENT, id="parent", handlers=handlers, tags=("app", "seed:42"), tracers=tracers, log_level=log_level
        )
        child = handlers.child = Machine(CHILD, id="child", parent=parent, log_level=log_level)
        child.log_args = args_mapper(["n"])
        parent.add("Work")  # rejected by Require
        parent.add("Start")
        parent.add("Refused")  # rejected by handler
        done = parent.when("Done")
        parent.add("Work")
        await done
        parent.add("Event")
        parent.remove("Event")
        parent.set("Start")
        parent.add_err(RuntimeError("boom"))
        return parent, child

    return asyncio.run(main())
