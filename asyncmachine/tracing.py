"""Who looks on, and how is a faulty onlooker kept from doing harm?

`Tracer` is the base class of observers; `Hooks` keeps, per hook, only those that really implement it. Knows nothing
of what happens inside the engine.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncmachine.machine import Machine
    from asyncmachine.mutation import Mutation
    from asyncmachine.transition import Transition
    from asyncmachine.waiting import StateContext, Task

ERROR_LIMIT = 10
_logger = logging.getLogger("asyncmachine")


class Tracer:
    """Base of observers: override the hooks you need; the others cost nothing.

    Hooks are synchronous. A tracer that raises is logged once and detached after ten errors; it never changes a
    result. Mutations made in a hook queue like those of a handler.
    """

    def machine_init(self, machine: Machine) -> None:
        """A machine was constructed with this tracer."""

    def machine_bound(self, machine: Machine) -> None:
        """The tracer was bound to a machine that exists already."""

    def machine_dispose(self, machine: Machine) -> None:
        """A machine is being disposed."""

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        """A machine was constructed with `parent`; called on the parent's tracers."""

    def schema_change(self, machine: Machine, old: Any) -> None:
        """A machine's schema has grown."""

    def mutation_queued(self, machine: Machine, mutation: Mutation) -> None:
        """A mutation was accepted into the queue."""

    def transition_init(self, tx: Transition) -> None:
        """Target states and acceptance by relations are known."""

    def transition_start(self, tx: Transition) -> None:
        """Negotiation begins."""

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:
        """A handler is about to be called."""

    def handler_end(self, tx: Transition, binding: str, name: str) -> None:
        """A handler has returned or raised."""

    def handler_slow(self, tx: Transition, name: str, seconds: float) -> None:
        """A handler ran longer than `slow_handler_s`; nothing is taken back."""

    def transition_finals(self, tx: Transition) -> None:
        """Ticks have advanced and contexts have expired; final handlers follow."""

    def transition_end(self, tx: Transition) -> None:
        """The transition is complete, whatever its outcome."""

    def queue_end(self, machine: Machine) -> None:
        """The queue has been drained."""

    def state_ctx_new(self, machine: Machine, ctx: StateContext) -> None:
        """A state context was made."""

    def state_ctx_end(self, machine: Machine, ctx: StateContext) -> None:
        """A state context has expired."""

    def subscription_new(self, machine: Machine, text: str) -> None:
        """Somebody began to wait."""

    def subscription_match(self, machine: Machine, text: str) -> None:
        """A wait was resolved."""

    def pipe_add(self, machine: Machine, state: str, target: Machine, target_state: str) -> None:
        """A state was bound to a state of another machine."""

    def task_fork(self, machine: Machine, task: Task[Any], state: str | None) -> None:
        """A background task was started."""

    def log(self, machine: Machine, level: int, line: str) -> None:
        """A log line was written."""


HOOKS = tuple(name for name in vars(Tracer) if not name.startswith("_"))
STEPS = (
    "mutation_queued", "transition_init", "transition_start", "handler_start", "handler_end", "handler_slow",
    "transition_finals",
)  # fmt: skip
"""Hooks called in the course of a transition: a machine whose tracers have none of them takes a shorter way."""
Hook = tuple["Callable[..., None]", ...]


class Hooks:
    """The bound tracers of one machine, sorted by hook."""

    __slots__ = (*HOOKS, "_errors", "tracers")

    machine_init: Hook
    machine_bound: Hook
    machine_dispose: Hook
    submachine_new: Hook
    schema_change: Hook
    mutation_queued: Hook
    transition_init: Hook
    transition_start: Hook
    handler_start: Hook
    handler_end: Hook
    handler_slow: Hook
    transition_finals: Hook
    transition_end: Hook
    queue_end: Hook
    state_ctx_new: Hook
    state_ctx_end: Hook
    subscription_new: Hook
    subscription_match: Hook
    pipe_add: Hook
    task_fork: Hook
    log: Hook

    def __init__(self, tracers: tuple[Tracer, ...] = ()) -> None:
        self.tracers = tracers
        self._errors: dict[int, int] = {}
        self._sort()

    @property
    def wants_steps(self) -> bool:
        """Whether a tracer follows transitions step by step."""
        return any(getattr(self, name) for name in STEPS)

    def bind(self, tracer: Tracer) -> bool:
        """Add a tracer; return whether it is new, as binding it twice changes nothing."""
        if not any(tracer is bound for bound in self.tracers):
            self.tracers = (*self.tracers, tracer)
            self._sort()
            return True
        return False

    def unbind(self, tracer: Tracer) -> bool:
        """Remove a tracer; return whether it was bound."""
        kept = tuple(bound for bound in self.tracers if bound is not tracer)
        found = len(kept) != len(self.tracers)
        self.tracers = kept
        self._sort()
        return found

    def fire(self, hook: Hook, *args: Any) -> None:
        """Call one hook of every tracer that has it, keeping their errors away from the machine."""
        for method in hook:
            try:
                method(*args)
            except Exception:
                self._blame(method)

    def _blame(self, method: Callable[..., None]) -> None:
        tracer: Any = getattr(method, "__self__", method)
        errors = self._errors[id(tracer)] = self._errors.get(id(tracer), 0) + 1
        if errors == 1:
            _logger.exception("[tracers] %r raised", tracer)
        if errors >= ERROR_LIMIT:
            _logger.error("[tracers] %r detached after %d errors", tracer, errors)
            self.unbind(tracer)

    def _sort(self) -> None:
        for name in HOOKS:
            methods = []
            for tracer in self.tracers:
                method = getattr(tracer, name, None)
                if method is not None and getattr(method, "__func__", None) is not getattr(Tracer, name):
                    methods.append(method)
            setattr(self, name, tuple(methods))
