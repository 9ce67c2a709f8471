"""The reference's tests of state contexts."""

from __future__ import annotations

import asyncio

import pytest

from asyncmachine import Event
from tests.reference.machines import active, ended, no_rels


@pytest.mark.reference("TestStateCtx")
def test_a_context_ends_with_its_state() -> None:
    """Work that outlives its state sees an expired context."""

    async def main() -> None:
        signal = asyncio.Event()
        seen: list[tuple[bool, set[str]]] = []

        class Handlers:
            def AState(self, e: Event) -> None:
                self.ctx = e.machine.state_ctx("A")
                assert self.ctx is e.ctx
                self.task = asyncio.create_task(self.work(e))

            async def work(self, e: Event) -> None:
                await signal.wait()
                seen.append((self.ctx.expired, active(e.machine)))

        m = no_rels()
        handlers = Handlers()
        m.bind(handlers)
        m.add("A")
        assert not handlers.ctx.expired
        m.remove("A")
        signal.set()
        await handlers.task
        assert seen == [(True, set())]
        assert ended(m) == "() [A:2 B:0 C:0 D:0]"

    asyncio.run(main())


@pytest.mark.reference("TestStateCtxBasic")
def test_contexts_of_active_and_inactive_states() -> None:
    """A context lasts until the next tick, also that of an inactive state."""
    m = no_rels()
    m.add("A")
    on = m.state_ctx("A")
    seen = [on.expired]
    m.remove("A")
    off = m.state_ctx("B")
    seen += [on.expired, off.expired]
    m.add("B")
    seen += [off.expired]
    assert seen == [False, True, False, True]
    assert ended(m) == "(B:1) [A:2 C:0 D:0]"
