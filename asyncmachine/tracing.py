"""`Tracer`, the base class of observers, with all hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmachine._observers import HOOKS

if TYPE_CHECKING:
    from asyncmachine._asyncio import StateContext, Task
    from asyncmachine.machine import Machine, Transition
    from asyncmachine.mutation import Mutation


class Tracer:
    """Base of observers: override the hooks you need; the others cost nothing.

    Hooks are synchronous. The first error of a tracer is logged, and the tracer is detached after ten; errors never
    change a result. Mutations made in a hook are queued like those of a handler.
    """

    def machine_init(self, machine: Machine) -> None:
        """A machine was constructed with this tracer."""

    def machine_bound(self, machine: Machine) -> None:
        """The tracer was bound to an existing machine."""

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
        """A handler ran longer than `slow_handler_s`; nothing is rolled back."""

    def transition_finals(self, tx: Transition) -> None:
        """Ticks have advanced and contexts have expired; final handlers follow."""

    def transition_end(self, tx: Transition) -> None:
        """The transition is complete, whatever its outcome."""

    def queue_end(self, machine: Machine) -> None:
        """The queue has been drained."""

    def state_ctx_new(self, machine: Machine, ctx: StateContext) -> None:
        """A state context was created."""

    def state_ctx_end(self, machine: Machine, ctx: StateContext) -> None:
        """A state context has expired."""

    def subscription_new(self, machine: Machine, text: str) -> None:
        """A wait was registered."""

    def subscription_match(self, machine: Machine, text: str) -> None:
        """A wait was resolved."""

    def pipe_add(self, machine: Machine, state: str, target: Machine, target_state: str) -> None:
        """A state was bound to a state of another machine."""

    def task_fork(self, machine: Machine, task: Task[Any], state: str | None) -> None:
        """A background task was started."""

    def log(self, machine: Machine, level: int, line: str) -> None:
        """A log line was written."""


for _name in HOOKS:
    vars(Tracer)[_name].is_no_op = True  # so that machines do not call them
