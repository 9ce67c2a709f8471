"""The reference's tests of the end of a machine's life."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Machine, MachineDisposedError, Result
from tests.reference.machines import no_rels


@pytest.mark.reference("TestDispose")
def test_dispose() -> None:
    """Functions given to `on_dispose` are called, and the end can be awaited."""

    async def main() -> None:
        flags: list[bool] = []
        m = no_rels("A")
        m.on_dispose(lambda: flags.append(m.is_disposed))
        m.dispose()
        await m.disposed()
        assert flags == [True]

    asyncio.run(main())


@pytest.mark.reference("TestDisposeForce")
def test_dispose_does_not_pause() -> None:
    """The end has come when the call returns; another call, and waiting, do no harm."""

    async def main() -> None:
        flags: list[bool] = []
        m = no_rels("A")
        m.on_dispose(lambda: flags.append(True))
        m.dispose()
        assert flags == [True]
        m.dispose()
        await m.when_disposed()
        await m.disposed()
        assert flags == [True]

    asyncio.run(main())


def ask(m: Machine) -> dict[str, Any]:
    """Everything that has a neutral answer after the end."""
    return {
        "queued": m.queued(),
        "active_states": m.active_states(),
        "clock": m.clock(),
        "time": m.time(),
        "tick": m.tick("A"),
        "str": str(m),
        "string_all": m.string_all(),
        "inspect": m.inspect(),
        "has": m.has("A"),
        "is_": m.is_("A"),
        "not_": m.not_("A"),
        "any_": m.any_("A"),
        "is_clock": m.is_clock({}),
        "was_clock": m.was_clock({"A": 0}),
        "will_be": m.will_be("A"),
        "transition": m.transition,
        "queue_len": m.queue_len,
        "ctx": m.state_ctx("A").expired,
    }


@pytest.mark.reference("TestDisposedNoOp")
def test_a_disposed_machine_is_neutral() -> None:
    """Mutations are canceled, questions have neutral answers, new waits raise at once."""

    async def main() -> None:
        m = no_rels("A")
        m.dispose()
        error = ValueError()
        mutations = [m.set("A"), m.add("A"), m.remove("A"), m.toggle("A"), m.add_err(error, "A"), m.can_add("A")]
        assert mutations == [Result.CANCELED] * len(mutations)
        assert ask(m) == {
            "queued": (), "active_states": (), "clock": {}, "time": (), "tick": 0, "str": "", "string_all": "",
            "inspect": "", "has": False, "is_": False, "not_": False, "any_": False, "is_clock": False,
            "was_clock": False, "will_be": False, "transition": None, "queue_len": 0, "ctx": True,
        }  # fmt: skip
        m.log("nobody listens")
        for wait in (m.when("A"), m.when_not("A"), m.when_args("A"), m.when_time({}), m.when_queue_ends()):
            with pytest.raises(MachineDisposedError):
                await wait
        with pytest.raises(MachineDisposedError):
            m.eval(int)

    asyncio.run(main())
