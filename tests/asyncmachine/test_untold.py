"""What cannot be told or cancelled is logged or forgotten, and the machine goes on."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from asyncmachine import Machine

STATES: dict[str, Any] = {"A": {}, "B": {}}


class Stubborn(asyncio.Future[None]):
    """Cannot be cancelled."""

    def cancel(self, msg: Any = None) -> bool:
        raise ValueError("not now")


@pytest.mark.parametrize("end", ["remove", "dispose"])
def test_a_task_that_cannot_be_cancelled_is_logged(end: str, caplog: pytest.LogCaptureFixture) -> None:
    """With the error, when its state ends or its machine; it is still waited for."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")
        stubborn = Stubborn()

        async def work() -> None:
            await stubborn

        task = m.fork(work(), "A")
        assert task is not None
        await asyncio.sleep(0)
        getattr(m, end)(*(["A"] if end == "remove" else []))
        assert not m.is_("A")
        assert "cannot be cancelled" in caplog.text
        assert "ValueError: not now" in caplog.text
        assert not task.done()
        stubborn.set_result(None)
        await task
        m.dispose()
        await m.disposed()

    asyncio.run(main())


def test_a_task_whose_loop_was_closed_is_not_waited_for() -> None:
    """It would never end, though it lets itself be cancelled: a machine that is disposed on another loop ends at once."""
    m = Machine(STATES)
    loop = asyncio.new_event_loop()

    async def work() -> None:
        await asyncio.sleep(0)  # not waiting for anything, but for its turn

    async def main() -> None:
        m.fork(work())

    loop.run_until_complete(main())
    (task,) = asyncio.all_tasks(loop)
    loop.close()

    async def end() -> None:
        m.dispose()
        await m.disposed()

    asyncio.run(end())
    assert not task.done()


def test_a_wait_that_cannot_be_told_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A loop in debug mode refuses to be called by another thread; the mutation is carried out."""

    async def main() -> None:
        m = Machine(STATES)
        wait = m.when("A")
        wait.add_done_callback(lambda _: None)
        asyncio.get_running_loop().set_debug(True)
        thread = threading.Thread(target=m.add, args=("A",))
        thread.start()
        thread.join()
        assert m.is_("A")

    asyncio.run(main())
    assert "cannot schedule the callbacks" in caplog.text
    assert "Non-thread-safe operation" in caplog.text


def test_a_wait_that_another_ones_arguments_cancel_is_not_told() -> None:
    """The `==` of an argument is a user's code, which may end the very waits that are being looked at."""

    async def main() -> None:
        m = Machine(STATES)
        waits: list[asyncio.Future[dict[str, Any]]] = []

        class Ending:
            def __eq__(self, other: object) -> bool:
                for wait in waits:
                    wait.cancel()
                return True

            __hash__ = None  # type: ignore[assignment]  # nobody puts it into a set

        waits += [m.when_args("A", x=Ending()), m.when_args("A", x=1)]
        assert m.add("A", x=1).executed
        assert [wait.cancelled() for wait in waits] == [True, True]
        m.remove("A")
        assert m.add("A", x=1).executed

    asyncio.run(main())
