"""Who may watch a machine? `Tracer`: hooks called in the course of transitions, synchronously.

A tracer cannot change a result: one that raises is logged, and detached after ten errors. Machines without a tracer
pay nothing for the hooks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncmachine.machine import Machine
    from asyncmachine.mutation import Mutation
    from asyncmachine.schema import Schema
    from asyncmachine.transition import Transition
    from asyncmachine.waiting import StateContext

_log = logging.getLogger("asyncmachine")

MAX_ERRORS = 10
"""A tracer that raised this often is detached."""


class Tracer:
    """Hooks that do nothing; override those of interest."""

    def machine_init(self, machine: Machine) -> None:
        """A machine was made with this tracer."""

    def machine_dispose(self, machine: Machine) -> None:
        """Disposal begins."""

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        """A machine was made with `parent`, whose tracers are told."""

    def schema_change(self, machine: Machine, old: type[Schema]) -> None:
        """The schema grew."""

    def mutation_queued(self, machine: Machine, mutation: Mutation) -> None:
        """A mutation was put on the queue."""

    def transition_init(self, tx: Transition) -> None:
        """Target and acceptance by relations are known."""

    def transition_start(self, tx: Transition) -> None:
        """Before negotiation."""

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:
        """A handler is about to be called."""

    def handler_end(self, tx: Transition, binding: str, name: str) -> None:
        """A handler has returned or raised."""

    def handler_slow(self, tx: Transition, name: str, seconds: float) -> None:
        """A handler took longer than the machine's `slow_handler_s`."""

    def transition_finals(self, tx: Transition) -> None:
        """Clocks have ticked; final handlers follow."""

    def transition_end(self, tx: Transition) -> None:
        """Everything is done."""

    def queue_end(self, machine: Machine) -> None:
        """The queue is empty."""

    def state_ctx_new(self, machine: Machine, ctx: StateContext) -> None:
        """A state context was made."""

    def state_ctx_end(self, machine: Machine, ctx: StateContext) -> None:
        """A state context expired."""

    def subscription_new(self, machine: Machine, kind: str) -> None:
        """A wait was registered."""

    def subscription_match(self, machine: Machine, kind: str) -> None:
        """A wait was released."""

    def pipe_add(self, source: Machine, target: Machine, state: str) -> None:
        """A pipe was made."""

    def task_fork(self, machine: Machine, task: Any) -> None:
        """A background task was started."""

    def log(self, machine: Machine, level: int, text: str) -> None:
        """A log line was written."""


class Tracers:
    """The tracers of one machine and how often each has raised."""

    def __init__(self, tracers: Sequence[Tracer]) -> None:
        self.bound: list[Tracer] = list(tracers)
        self._errors: dict[int, int] = {}

    def call(self, hook: str, *args: Any) -> None:
        """Call one hook of all; never raises an Exception."""
        for tracer in tuple(self.bound):
            try:
                getattr(tracer, hook)(*args)
            except Exception:
                errors = self._errors[id(tracer)] = self._errors.get(id(tracer), 0) + 1
                if errors == 1:
                    _log.exception("tracer %r raised in %s; further errors are not logged", tracer, hook)
                if errors >= MAX_ERRORS and tracer in self.bound:
                    self.bound.remove(tracer)
                    _log.error("tracer %r detached after %d errors", tracer, errors)
