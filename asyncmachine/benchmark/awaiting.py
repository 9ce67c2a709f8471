"""Workloads on an event loop: waiting and background work, ours and asyncio's own means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncmachine.benchmark import machines
from asyncmachine.benchmark.machines import UNRELATED, A
from asyncmachine.benchmark.workload import BESIDE, FEATURE, Bench, Workload, all_of, counted, ticks_after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ANSWER = "ask and await what comes of it"
TASK = "background work started and awaited"


async def unrelated_wait() -> Bench:
    """Add and remove a state while somebody waits for another one."""
    machine = machines.machine()
    pending = machine.when(UNRELATED)

    async def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A)
            machine.remove(A)

    async def finish() -> None:
        pending.cancel()

    waits = ticks_after(machine, {A: 2})
    return Bench(loop=loop, wrong=lambda n: waits(n) or ("the wait is over" if pending.done() else ""), finish=finish)


async def wait_cycle() -> Bench:
    """Wait for a state, add it, await it, remove it."""
    machine = machines.machine()

    async def loop(n: int) -> None:
        for _ in range(n):
            active = machine.when(A)
            machine.add(A)
            await active
            machine.remove(A)

    return Bench(loop=loop, wrong=ticks_after(machine, {A: 2}))


async def async_handler() -> Bench:
    """Start the task of a state, await what it says at its end, remove the state."""
    handlers = machines.Working()
    machine = machines.machine(handlers=handlers)
    new_future = asyncio.get_running_loop().create_future

    async def loop(n: int) -> None:
        for _ in range(n):
            done = new_future()
            machine.add(A, done=done)
            await done
            machine.remove(A)

    calls = counted(lambda: handlers.entered, 1, "tasks")
    return Bench(loop=loop, wrong=all_of(ticks_after(machine, {A: 2}), calls))


async def queue_actor() -> Bench:
    """Put a command and a future into a queue and await the answer of the task behind it."""
    queue: asyncio.Queue[tuple[Callable[[], bool], asyncio.Future[bool]]] = asyncio.Queue()
    new_future = asyncio.get_running_loop().create_future
    switch = Switch()

    async def actor() -> None:
        while True:
            command, answer = await queue.get()
            answer.set_result(command())

    task = asyncio.create_task(actor())

    async def loop(n: int) -> None:
        for _ in range(n):
            answer = new_future()
            queue.put_nowait((switch.toggle, answer))
            await answer

    async def finish() -> None:
        task.cancel()

    return Bench(loop=loop, wrong=counted(lambda: switch.ticks, 1, "commands"), finish=finish)


async def bare_task() -> Bench:
    """Create a task and await it."""
    switch = Switch()

    async def work() -> None:
        switch.toggle()

    create_task = asyncio.get_running_loop().create_task

    async def loop(n: int) -> None:
        for _ in range(n):
            await create_task(work())

    return Bench(loop=loop, wrong=counted(lambda: switch.ticks, 1, "tasks"))


class Switch:
    """Two states as somebody would write them by hand."""

    __slots__ = ("is_on", "ticks")

    def __init__(self) -> None:
        self.is_on = False
        self.ticks = 0

    def toggle(self) -> bool:
        """Flip and count."""
        self.is_on = not self.is_on
        self.ticks += 1
        return self.is_on


def _workload(name: str, title: str, make: Callable[[], Awaitable[Bench]], **more: Any) -> Workload:
    given: dict[str, Any] = {"name": name, "title": title, "group": FEATURE, "make": make} | more
    return Workload(**given)


WORKLOADS = (
    _workload("unrelated-wait", "add and remove, an unrelated wait pending", unrelated_wait, events=2),
    _workload("wait-cycle", "when, add, await, remove", wait_cycle, per="cycle", task=ANSWER),
    _workload("async-handler", "an async State handler, awaited, and remove", async_handler, per="cycle", task=TASK),
    _workload(
        "queue-actor",
        "an actor on an asyncio.Queue, one round trip",
        queue_actor,
        per="round trip",
        task=ANSWER,
        who="asyncio",
        group=BESIDE,
    ),
    _workload("bare-task", "create_task and await", bare_task, per="task", task=TASK, who="asyncio", group=BESIDE),
)
"""The workloads of this module in the order in which tables show them."""
