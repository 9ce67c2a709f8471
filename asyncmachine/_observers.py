"""The observers of one machine: its tracers, its log, and the timer for slow handlers.

For each hook only the tracers that implement it are kept. Their errors do not reach the machine. Observers make no decisions. The machine
is passed to tracers unchanged; this module itself reads only its `id` and `log_args`.
"""

from __future__ import annotations

import logging
from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from asyncmachine._waiters import WHEN_ARGS, WHEN_QUEUE
from asyncmachine.errors import WrongThreadError
from asyncmachine.logs import LogLevel, args_suffix, line
from asyncmachine.mutation import ARGS, CALLED, FLAGS, IS_AUTO, KIND, SOURCE, Mutation, tx_id
from asyncmachine.relations import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncmachine._waiters import Subscription
    from asyncmachine.mutation import QueuedMutation
    from asyncmachine.plans import Configuration, Plan, PlanCache
    from asyncmachine.relations import Note

ERROR_LIMIT: Final = 10
"""Number of errors after which a tracer is detached."""
HOOKS: Final = (
    "machine_init", "machine_bound", "machine_dispose", "submachine_new", "schema_change", "mutation_queued",
    "transition_init", "transition_start", "handler_start", "handler_end", "handler_slow", "transition_finals",
    "transition_end", "queue_end", "state_ctx_new", "state_ctx_end", "subscription_new", "subscription_match", "pipe_add",
    "task_fork", "log",
)  # fmt: skip
STEPS: Final = (
    "mutation_queued", "transition_init", "transition_start", "handler_start", "handler_end", "handler_slow",
    "transition_finals",
)  # fmt: skip
"""Hooks called during a transition. If no tracer implements any of them, only the end of a transition is announced."""

FACTS: Final = "_transition_facts"
"""The hook of tracers that need no transition object; see `FactsTracer`."""

_WAITS: Final = ("when", "whenNot", "whenTime", "whenQueue", "whenQuery", "whenArgs", "whenQueueEnds")
Hook = tuple["Callable[..., None]", ...]
_logger = logging.getLogger("asyncmachine")


class FactsTracer(Protocol):
    """A tracer that receives the facts of a transition instead of a transition object, such as the recorders of this library.

    A machine whose tracers are all of this kind creates no transition objects for mutations without handlers.
    """

    def _transition_facts(self, machine: Any, plan: Plan, queued: QueuedMutation, tx: Any) -> None:
        """Called when a transition is complete, whatever its outcome.

        Args:
            machine: The machine, with its current ticks.
            plan: The plan. Identical mutations of the same configuration share it.
            queued: The mutation. Its arguments must not be kept.
            tx: The transition object, if there is one. None means that the mutation was carried out exactly as planned.
        """


class Observers:
    """The observers of a machine.

    Args:
        tracers: In binding order.
        log_level: How much is written to the logger.
        slow_handler_s: Handlers that run longer are reported; None disables the measurement.
        computing_takes_time: Whether a handler can be slow: not on simulated time.

    Attributes:
        tracers: In binding order.
        log_level: How much is written to the logger.
        slow_handler_s: Handlers that run longer are reported; None disables the measurement.
        thread: The only thread that may use the machine; None if the thread is not checked.
        facts: The receivers of the end of a transition if all of them are `FactsTracer`s; otherwise empty, and all receivers
            are in `transition_end`.
    """

    __slots__ = (
        *HOOKS, "_computing_takes_time", "_errors", "facts", "log_level", "slow_handler_s", "thread", "tracers",
    )  # fmt: skip

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
    facts: Hook

    def __init__(
        self,
        tracers: tuple[object, ...] = (),
        log_level: int = 0,
        slow_handler_s: float | None = None,
        computing_takes_time: Callable[[], bool] = bool,
    ) -> None:
        self.tracers = tracers
        self.log_level = int(log_level)
        self.slow_handler_s = slow_handler_s
        self.thread: int | None = None
        self._computing_takes_time = computing_takes_time
        self._errors: dict[int, int] = {}
        self._sort()

    @property
    def wants_steps(self) -> bool:
        """Whether any observer follows more than the end of a transition."""
        if self.log_level or self.slow_handler_s is not None or self.thread is not None:
            return True
        return any(getattr(self, name) for name in STEPS)

    def keep_to_thread(self) -> None:
        """Check from now on that every mutation comes from the current thread."""
        self.thread = get_ident()

    def check_thread(self, machine: Any) -> None:
        """Refuse calls from another thread.

        Raises:
            WrongThreadError: Threads are checked, and the caller's is not the one that made the machine.
        """
        if self.thread is not None and self.thread != get_ident():
            raise WrongThreadError(machine.id, self.thread, get_ident())

    def bind(self, tracer: object) -> bool:
        """Add a tracer and return whether it is new; binding it twice has no effect."""
        if any(tracer is bound for bound in self.tracers):
            return False
        self.tracers = (*self.tracers, tracer)
        self._sort()
        return True

    def unbind(self, tracer: object) -> None:
        """Remove a tracer, if it is bound."""
        self.tracers = tuple(bound for bound in self.tracers if bound is not tracer)
        self._sort()

    def fire(self, hook: Hook, *args: Any) -> None:
        """Call one hook of every tracer that has it, and catch their errors."""
        for method in hook:
            try:
                method(*args)
            except Exception:
                self.blame(method)

    def blame(self, method: Callable[..., None]) -> None:
        """Count an error of a tracer: log the first, detach the tracer at `ERROR_LIMIT`. Call it from the except block."""
        tracer: Any = getattr(method, "__self__", method)
        errors = self._errors[id(tracer)] = self._errors.get(id(tracer), 0) + 1
        if errors == 1:
            _logger.exception("[tracers] %r raised", tracer)
        if errors >= ERROR_LIMIT:
            _logger.error("[tracers] %r detached after %d errors", tracer, errors)
            self.unbind(tracer)

    def _sort(self) -> None:
        for name in HOOKS:
            setattr(
                self, name, tuple([hook for tracer in self.tracers if (hook := _hook_of(tracer, name)) is not None])
            )
        facts: list[Callable[..., None]] = []
        ends: list[Callable[..., None]] = []
        for tracer in self.tracers:
            keep, end = getattr(tracer, FACTS, None), _hook_of(tracer, "transition_end")
            if keep is not None:
                facts.append(keep)
                ends.append(_told_out_of_transition(keep))
            if end is not None:
                ends.append(end)
        self.facts = tuple(facts) if len(facts) == len(ends) else ()
        self.transition_end = tuple(ends)

    # the course of a transition

    def queued(self, machine: Any, queued: QueuedMutation) -> QueuedMutation:
        """Announce a queued mutation; return it with the view that tracers were given."""
        self.check_thread(machine)
        kind, called, args, source, number, flags, _, result = queued
        if self.log_level >= LogLevel.OPS:
            verb = "prepend" if number < 0 else "queue"
            names = " ".join(dict.fromkeys(called))
            self.write(machine, LogLevel.OPS, f"[{verb}:{KINDS[kind]}] {names}{self.args_text(machine, args)}")
        if not self.mutation_queued:
            return queued
        mutation = Mutation(queued)
        self.fire(self.mutation_queued, machine, mutation)
        return (kind, called, args, source, number, flags, mutation, result)

    def call_handler(
        self, tx: Any, binding: str, slot: int, function: Callable[[Any, Any], Any], owner: object, event: Any
    ) -> Any:
        """Call a handler, announce its start and end, and report it if it is slow."""
        name = event.name
        if self.log_level >= LogLevel.OPS:
            self.write(event.machine, LogLevel.OPS, f"[handler:{slot}] {name}")
        if self.handler_start:
            self.fire(self.handler_start, tx, binding, name)
        limit_s = self.slow_handler_s
        started = 0.0 if limit_s is None else perf_counter()
        try:
            return function(owner, event)
        finally:
            seconds = 0.0 if limit_s is None else perf_counter() - started
            if self.handler_end:
                self.fire(self.handler_end, tx, binding, name)
            if limit_s is not None and seconds > limit_s and self._computing_takes_time():
                _logger.warning("[handler:slow] %s: %s took %.3f s", event.machine.id, name, seconds)
                self.fire(self.handler_slow, tx, name, seconds)

    def subscription(self, machine: Any, plans: PlanCache, what: str, subscription: Subscription) -> None:
        """Announce that a wait began ("new") or was fulfilled ("match")."""
        detail = _names(plans, subscription.states)
        if subscription.kind == WHEN_ARGS:
            detail += f" ({' '.join(sorted(subscription.goals))})"
        elif subscription.kind == WHEN_QUEUE:
            detail = str(subscription.tick)
        text = f"[{_WAITS[subscription.kind]}:{what}] {detail}".rstrip()
        self.fire(self.subscription_new if what == "new" else self.subscription_match, machine, text)
        self.write(machine, LogLevel.OPS, text)

    # the log

    def write(self, machine: Any, level: int, text: str) -> None:
        """Log a line if the level permits it, and pass it to the tracers."""
        if level <= self.log_level:
            written = line(machine.id, text)
            _logger.log(logging.INFO if level <= LogLevel.CHANGES else logging.DEBUG, "%s", written)
            self.fire(self.log, machine, level, written)

    def args_text(self, machine: Any, args: Mapping[str, Any]) -> str:
        """Return the loggable arguments, formatted as the end of a line."""
        return args_suffix(machine.log_args(args)) if args else ""

    def log_start(
        self, machine: Any, plans: PlanCache, configuration: Configuration, plan: Plan, queued: QueuedMutation
    ) -> None:
        """Log the called states and the effect of relations on them."""
        if self.log_level < LogLevel.OPS:
            return
        automatic = bool(queued[FLAGS] & IS_AUTO)
        level = LogLevel.DECISIONS if automatic else LogLevel.OPS
        kind = KINDS[queued[KIND]] + (":auto" if automatic else "")
        self.write(machine, level, f"[{kind}] {_names(plans, plan.called)}{self.args_text(machine, queued[ARGS])}")
        source = queued[SOURCE]
        if source is not None:
            self.write(machine, LogLevel.OPS, f"[source] {source[0]}/{tx_id(source[0], source[1])}/{source[2]}")
        notes: list[Note] = []
        plans.relations.resolve(configuration.active, configuration.mask, plan.kind, plan.called, notes)
        for note in dict.fromkeys(notes):
            was_active = bool(configuration.mask >> note[1] & 1)
            self._log_note(machine, plans, note, was_active=was_active, automatic=automatic)
        if not plan.accepted:
            missing = [s for s in plan.called if not plan.target.mask >> s & 1]
            self.write(machine, LogLevel.OPS, f"[cancel:reject] {_names(plans, missing)}")

    def _log_note(self, machine: Any, plans: PlanCache, note: Note, *, was_active: bool, automatic: bool) -> None:
        what, state, because = note
        name = _names(plans, (state,))
        if what == "rel:remove":
            level = LogLevel.OPS if was_active else LogLevel.DECISIONS
            self.write(machine, level, f"[rel:remove] {name} by {_names(plans, because)}")
        elif what == "reject":
            missing = " ".join(f"-{_names(plans, (other,))}" for other in because)
            if automatic:
                self.write(machine, LogLevel.DECISIONS, f"[reject:auto] {name}({missing})")
            else:
                self.write(machine, LogLevel.OPS, f"[reject] {name}({missing})")
        else:
            self.write(machine, LogLevel.OPS, f"[implied] {name}")

    def log_veto(self, machine: Any, plans: PlanCache, plan: Plan, handler: str) -> None:
        """Log that a handler refused."""
        if self.log_level >= LogLevel.OPS:
            half = handler[: len(handler) // 2]
            kind = "cancel:self" if half + half == handler and half in plans.compiled.index else "cancel"
            self.write(machine, LogLevel.OPS, f"[{kind}] ({_names(plans, plan.target.active)}) by {handler}")

    def log_commit(self, machine: Any, plans: PlanCache, plan: Plan, queued: QueuedMutation) -> None:
        """Log what has changed."""
        if self.log_level < LogLevel.CHANGES:
            return
        parts = [f"+{_names(plans, (state,))}" for state in plan.enters]
        parts += [f"-{_names(plans, (state,))}" for state in plan.exits]
        if self.log_level >= LogLevel.EVERYTHING:
            parts += [_names(plans, (state,)) for state in plan.target.active if not plan.enter_mask >> state & 1]
        if parts:
            label = "[auto_]" if queued[FLAGS] & IS_AUTO else "[state]"
            text = f"{label} {' '.join(parts)}{self.args_text(machine, queued[ARGS])}"
            self.write(machine, LogLevel.CHANGES, text)

    def log_auto(self, machine: Any, plans: PlanCache, configuration: Configuration, auto: Plan) -> None:
        """Log the auto mutation that follows, and the Auto states excluded from it."""
        if self.log_level >= LogLevel.OPS:
            self.write(machine, LogLevel.OPS, f"[auto] {_names(plans, auto.called)}")
        if self.log_level >= LogLevel.EVERYTHING:
            relations = plans.relations
            for state in relations.blocked_autos(configuration.mask)[1]:
                removers = [s for s in configuration.active if relations.removed_by[state] >> s & 1]
                text = f"[auto:rel:remove] {_names(plans, (state,))} by {_names(plans, removers)}"
                self.write(machine, LogLevel.EVERYTHING, text)

    def log_recovery(self, machine: Any, plans: PlanCache, plan: Plan) -> None:
        """Log that a handler's error is about to become the Exception state."""
        if self.log_level >= LogLevel.OPS:
            self.write(machine, LogLevel.OPS, "[recover] handling panic...")
            self.write(machine, LogLevel.OPS, f"[cancel] ({_names(plans, plan.target.active)}) by recover")

    def log_duplicate(self, machine: Any, queued: QueuedMutation) -> None:
        """Log that a mutation was skipped because an identical one is already queued."""
        text = f"[queue:skipped] Duplicate detected for [{KINDS[queued[KIND]]}] {' '.join(queued[CALLED])}"
        self.write(machine, LogLevel.OPS, text)


def _names(plans: PlanCache, states: Iterable[int]) -> str:
    names = plans.compiled.names
    return " ".join([names[state] for state in states])


def _hook_of(tracer: object, name: str) -> Callable[..., None] | None:
    """Return a tracer's method for a hook; None if it is missing or the empty one of `Tracer`."""
    method: Callable[..., None] | None = getattr(tracer, name, None)
    return None if getattr(getattr(method, "__func__", None), "is_no_op", False) else method


def _told_out_of_transition(keep: Callable[..., None]) -> Callable[..., None]:
    """Return a `transition_end` hook that passes on the facts."""

    def end(tx: Any) -> None:
        keep(tx.machine, tx._plan, tx._queued, tx)

    end.__self__ = getattr(keep, "__self__", keep)  # type: ignore[attr-defined]  # so that its errors are counted for its tracer
    return end
