"""The reference's tests of functions run between transitions."""

from __future__ import annotations

import asyncio

import pytest

from asyncmachine import Event, Machine, NestedEvalError
from tests.reference.machines import no_rels


class Counter:
    """A number that evals count up."""

    def __init__(self) -> None:
        self.value = 0

    def count(self) -> int:
        self.value += 1
        return self.value


@pytest.mark.reference("TestEval")
def test_eval_runs_at_once() -> None:
    """On an idle machine the function has run when `eval` returns, and its value is returned."""
    counter = Counter()
    assert no_rels().eval(counter.count) == 1
    assert counter.value == 1


@pytest.mark.reference("TestEvalNested")
def test_a_nested_eval_is_refused() -> None:
    """An eval inside another one raises at once instead of blocking, and does not run."""
    m = no_rels()
    counter = Counter()

    def outer() -> int:
        with pytest.raises(NestedEvalError):
            m.eval(counter.count)
        return counter.count()

    assert m.eval(outer) == 1
    assert not m.is_err()


@pytest.mark.reference("TestEvalNestedHandlers")
def test_an_eval_in_a_handler_is_an_error() -> None:
    """Directly in a handler it is an error of the handler; from background work it runs."""

    async def main() -> None:
        direct, forked = Counter(), Counter()

        class Handlers:
            def AState(self, e: Event) -> None:
                self.task = e.machine.fork(self.work(e.machine))
                e.machine.eval(direct.count, label="direct")

            async def work(self, m: Machine) -> None:
                m.eval(forked.count)

        m = no_rels()
        handlers = Handlers()
        m.bind(handlers)
        assert m.add("A").canceled
        assert handlers.task is not None
        await handlers.task
        assert (direct.value, forked.value) == (0, 1)
        assert isinstance(m.err, NestedEvalError)
        assert "'direct'" in str(m.err)
        assert m.string_all() == "(Exception:1) [A:2 B:0 C:0 D:0]"

    asyncio.run(main())
