"""A tracer that checks every transition against the plain resolver and a plain queue.

It notes what does not agree. Its expectations of waits are stated in terms of the machine's public queries.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncmachine import Machine, Mutation, Tracer, Transition
from tests.asyncmachine.plain_resolver import autos, resolve, sort
from tests.asyncmachine.programs import BoomError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tests.asyncmachine.programs import Scripted


@dataclass
class Wait:
    """A wait, and when it is to be resolved: by a transition, or by what the transition entered."""

    future: asyncio.Future[Any]
    is_met: Callable[[], bool]
    entered: Callable[[str, dict[str, Any]], bool] = lambda state, args: False
    met: bool = False


class Onlooker(Tracer):
    """Checks one machine at every hook; `wrong` stays empty as long as all is well."""

    def __init__(self, handlers: Scripted | None) -> None:
        self.handlers = handlers
        self.wrong: list[str] = []
        self.waits: list[Wait] = []
        self.fifo: deque[Mutation] = deque()
        self.urgent: Mutation | None = None
        self.active: tuple[str, ...] = ()
        self.committed = False
        self.failed_auto = False

    def expect(self, truth: bool, what: str) -> None:
        if not truth:
            self.wrong.append(what)

    def mutation_queued(self, machine: Machine, mutation: Mutation) -> None:
        """Queued mutations line up; what the machine makes itself comes next."""
        if mutation.queue_tick:
            self.fifo.append(mutation)
            self.expect(mutation.queue_tick == machine.queue_tick + len(self.fifo) or not machine.transition, "tick")
        else:
            self.expect(self.urgent is None, "two mutations want to be next")
            self.urgent = mutation

    def transition_init(self, tx: Transition) -> None:
        if self.urgent is not None:
            following, self.urgent = self.urgent, None
        else:
            following = self.fifo.popleft()
            self.expect(following.queue_tick == tx.machine.queue_tick, "queue tick")
        self.expect(tx.mutation is following, f"{tx.mutation} before {following}")
        self.active = tx.machine.active_states()
        self.expect(tx.before == tx.machine.time(), "ticks before")
        self.committed = False
        if self.handlers is not None:
            self.handlers.notes.failed = ""
            for tick, wait in self.handlers.notes.waits:
                processed = tx.machine.queue_tick - bool(tx.mutation.queue_tick)
                self.expect(wait.done() == (tick <= processed), f"queue wait for {tick} at {tx.machine.queue_tick}")

    def transition_finals(self, tx: Transition) -> None:
        self.committed = True

    def transition_end(self, tx: Transition) -> None:
        before, now = tx.before, tx.machine.time()
        self.expect(all(b <= n for b, n in zip(before, now, strict=True)), "a tick fell")
        odd = [name for name, tick in tx.machine.clock().items() if tick & 1]
        self.expect(sorted(tx.machine.active_states()) == sorted(odd), "activity differs from parity")
        self.expect(tx.after == now, "ticks after")
        self.expect(tx.completed, "not completed")
        if not self.committed:
            self.expect(before == now, f"{tx.mutation} was canceled and changed ticks")
            self.expect(tx.machine.active_states() == self.active, f"{tx.mutation} was canceled and changed the order")
            self.expect(tx.mutation.is_check or not tx.accepted, "accepted and not committed")
        else:
            self._check_commit(tx)
            self._check_waits(tx)
        self._check_next(tx)

    def _check_commit(self, tx: Transition) -> None:
        states, called = tx.machine.schema.states, tx.mutation.called
        if tx.mutation.is_auto:  # those of them that nobody refused
            called = tuple(tx.machine.state_names[state] for state in tx._plan.called)
            self.expect(set(called) <= set(tx.mutation.called), "an auto mutation calls more than was queued")
            self.expect(set(called) <= set(tx.target), "what an auto mutation does not activate still is called")
        target = resolve(states, self.active, tx.mutation.kind, called)
        self.expect(tx.target == target.states, f"target {tx.target}, expected {target.states}")
        entered = [name for name in target.states if name not in self.active]
        again = [s for s in target.states if s in self.active and s in called and states[s].multi]
        again = again if tx.mutation.kind != "remove" else []
        exits = sort(states, [name for name in self.active if name not in target.states])
        self.expect(tx.enters == tuple(s for s in target.states if s in entered or s in again), "enters")
        self.expect(tx.exits == tuple(exits), "exits")
        back = self.taken_back(tx)
        ticks = tx.machine.clock()
        for name, tick in zip(tx.machine.state_names, tx.before, strict=True):
            grown = (name in entered) + (name in exits) + 2 * (name in again) + (name in back)
            self.expect(ticks[name] == tick + grown, f"tick of {name}")
        self.expect(tx.machine.active_states() == tuple(s for s in target.states if s not in back), "active order")
        self._check_relations(tx, target.late)

    def _check_relations(self, tx: Transition, late: frozenset[str]) -> None:
        """Hold the relations against what is active now.

        Require has one exception: a failing final handler takes states back and leaves others that need them (those
        whose State handler came before, by After or in a Require cycle, and those active before). The Exception
        transition that follows sees to it; none follows an Exception transition or an interruption.

        Remove has one exception: a state implied by one that is kept, which was blocked when Remove was judged by a
        state that was blocked in turn, and comes in afterwards. What such a state removes stays active with it until
        the next mutation (asyncmachine-go 0.19, the second of two expansions). What a kept state removes never comes
        in this way, nor does what lacks a requirement.
        """
        if not tx.accepted:
            return
        states, active = tx.machine.schema.states, tx.machine.active_states()
        for name in active:
            self.expect(set(states[name].require) <= set(active), f"{name} lacks a requirement")
            if name not in late:
                self.expect(not set(states[name].remove) & set(active), f"{name} and what it removes are active")
            else:
                self.expect(name not in self.active and name not in tx.mutation.called, f"{name} is no implied state")

    def taken_back(self, tx: Transition) -> tuple[str, ...]:
        """Return the entered states whose State handlers have not completed."""
        failed = self.handlers.notes.failed if self.handlers else ""
        if failed in ("", "AnyState"):
            return ()
        enters = tx.enters
        if failed.endswith("State"):
            enters = enters[enters.index(failed.removesuffix("State")) :]
        return tuple(s for s in enters if s != "Exception" or "Exception" not in tx.mutation.called)

    def _check_waits(self, tx: Transition) -> None:
        enters = tx.enters
        failed = self.handlers.notes.failed if self.handlers else ""
        if failed.endswith("End"):
            enters = ()
        elif failed and failed != "AnyState":
            enters = enters[: enters.index(failed.removesuffix("State")) + 1]
        for wait in self.waits:
            wait.met = wait.met or wait.is_met() or any(wait.entered(name, tx.mutation.args) for name in enters)
            self.expect(wait.future.done() == wait.met, f"a wait is {'not ' if wait.met else ''}resolved by {tx}")

    def _check_next(self, tx: Transition) -> None:
        """Only an auto mutation or a recovered error comes before the queue, when it is due and only then."""
        mutation, following = tx.mutation, self.urgent
        failed = tx.canceled_by == "error"
        due = self._due_autos(tx)
        if following is None:
            boom = self.handlers is not None and self.handlers.failure() is BoomError
            missed = boom and (mutation.kind == "remove" or "Exception" not in mutation.called)
            self.expect(not missed and not due, f"nothing follows {tx}: due {due}")
        elif following.is_auto:
            self.expect(following.called == due, f"autos {following.called}, expected {due}")
        else:
            self.expect(failed and following.called == ("Exception",), f"{following} follows {tx}")
        self.failed_auto = failed and mutation.is_auto

    def _due_autos(self, tx: Transition) -> tuple[str, ...]:
        mutation = tx.mutation
        retry = self.failed_auto and not mutation.queue_tick  # the Exception transition an auto transition caused
        ended = not tx.accepted or not self.committed or tx.before == tx.after
        if ended or mutation.is_auto or retry:
            return ()
        return autos(tx.machine.schema.states, tx.target)
