"""Where mistakes are looked for, a machine that is used by another thread than its own says so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, Result, WrongThreadError

if TYPE_CHECKING:
    from collections.abc import Callable

STATES: dict[str, Any] = {"A": {}, "B": {}, "Start": {}}
CALLS: dict[str, Callable[[Machine], object]] = {
    "add": lambda m: m.add("A"),
    "remove": lambda m: m.remove("A"),
    "set": lambda m: m.set("A"),
    "toggle": lambda m: m.toggle("A"),
    "add_err": lambda m: m.add_err(ValueError()),
    "prepared": lambda m: m.prepare("add", "A")(None),
    "can_add": lambda m: m.can_add("A"),
    "eval": lambda m: m.eval(int),
    "eval_soon": lambda m: m.eval_soon(int),
    "bind": lambda m: m.bind(object()),
    "dispose": lambda m: m.dispose(),
    "when": lambda m: asyncio.run(wait(m)),
}


async def wait(m: Machine) -> None:
    m.when("A")


def elsewhere(call: Callable[[Machine], object], m: Machine) -> BaseException | None:
    """Return what a call raises in another thread."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call(m)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("at_work", [False, True])
@pytest.mark.parametrize("bound", [False, True])
def test_on_a_loop_in_debug_mode(call: str, at_work: bool, bound: bool) -> None:
    """Whatever changes the machine raises in another thread, at rest or in the middle of a transition, and nothing is changed."""

    class Handlers:
        def BState(self, e: Event) -> None:
            raised.append(elsewhere(CALLS[call], e.machine))

    raised: list[BaseException | None] = []

    async def main() -> None:
        m = Machine(STATES, handlers=Handlers() if bound else None)
        if at_work:
            m.add("B")
            if not bound:
                m.eval(lambda: raised.append(elsewhere(CALLS[call], m)))
        else:
            raised.append(elsewhere(CALLS[call], m))
        (error,) = raised
        assert isinstance(error, WrongThreadError)
        assert (error.machine_id, error.owner) == (m.id, threading.get_ident())
        assert error.caller != error.owner
        assert m.active_states() == (("B",) if at_work else ())
        assert (m.queue_len, m._waiters.is_empty, m.is_disposed) == (0, True, False)
        assert m.add("A") is Result.EXECUTED

    asyncio.run(main(), debug=True)


def test_nobody_looks_otherwise() -> None:
    """A machine of a loop that is not in debug mode is not slower for it, and takes what comes."""

    async def main() -> None:
        m = Machine(STATES)
        assert m._flags == 0
        assert elsewhere(CALLS["add"], m) is None
        assert m.is_("A")

    asyncio.run(main(), debug=False)


PROGRAM = """
import threading
from asyncmachine import Machine
m = Machine({"A": {}})
thread = threading.Thread(target=m.add, args=("A",))
thread.start()
thread.join()
print(m.tick("A"))
"""


@pytest.mark.parametrize(("option", "tick"), [("dev", 0), ("utf8", 1)])
def test_in_development_mode(option: str, tick: int) -> None:
    """Under `python -X dev` any machine looks."""
    done = subprocess.run([sys.executable, "-X", option, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == f"{tick}\n"
    assert ("WrongThreadError" in done.stderr) is (option == "dev")
