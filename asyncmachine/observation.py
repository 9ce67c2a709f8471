"""Who is told what a machine does, and what is written to the log?

Tracers, log lines and the report of slow handlers. It decides nothing: what happens is in `queueing` and `transition`.
"""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any

from asyncmachine.logs import LogLevel, args_suffix, line
from asyncmachine.relations import KINDS
from asyncmachine.tracing import Hooks
from asyncmachine.transition import OBSERVED, RECORDED, TRACED
from asyncmachine.waiting import computing_takes_time
from asyncmachine.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncmachine.automaton import Plan
    from asyncmachine.mutation import Event
    from asyncmachine.tracing import Tracer

_logger = logging.getLogger("asyncmachine")
NO_HOOKS = Hooks()
"""What all machines share that nobody observes."""


class Observation(Waits):
    """What observers of a machine are told, and how they are bound."""

    __slots__ = ()

    def bind_tracer(self, tracer: Tracer) -> None:
        """Bind an observer; see `Tracer`. Binding it twice changes nothing."""
        if self._hooks is NO_HOOKS:
            self._hooks = Hooks()
        is_new = self._hooks.bind(tracer)
        self._set_observed()
        bound = getattr(tracer, "machine_bound", None)
        if is_new and bound is not None:
            self._hooks.fire((bound,), self)

    def unbind_tracer(self, tracer: Tracer) -> None:
        """Unbind an observer; nothing happens if it is not bound."""
        if self._hooks is not NO_HOOKS:
            self._hooks.unbind(tracer)
            self._set_observed()

    @property
    def log_level(self) -> LogLevel:
        """How much is written to the logger; can be changed at any time."""
        return LogLevel(self._log_level)

    @log_level.setter
    def log_level(self, level: int) -> None:
        self._log_level = int(level)
        if self._hooks is NO_HOOKS:
            self._hooks = Hooks()
        self._set_observed()

    def log(self, text: str) -> None:
        """Write a line of the user's own, at level EXTERNAL."""
        self._log(LogLevel.EXTERNAL, "[exter] " + text.replace("\n", " "))

    # inside

    def _set_observed(self) -> None:
        gate = self._gate & ~TRACED
        if self._log_level or self._hooks.wants_steps:
            gate |= OBSERVED
        elif self._hooks.tracers:
            gate |= RECORDED
        self._gate = gate

    def _announced(self, name: str, function: Callable[[Any, Event], Any], slot: int, event: Event) -> Any:
        """Call a handler, telling observers, and report it if it is slow."""
        hooks, tx, binding = self._hooks, self._tx, self._bound[slot]
        if self._log_level >= LogLevel.OPS:
            self._log(LogLevel.OPS, f"[handler:{slot}] {name}")
        if hooks.handler_start:
            hooks.fire(hooks.handler_start, tx, binding, name)
        started = perf_counter()
        try:
            return function(self._slots[slot], event)
        finally:
            seconds = perf_counter() - started
            if hooks.handler_end:
                hooks.fire(hooks.handler_end, tx, binding, name)
            if seconds > self.slow_handler_s and computing_takes_time():
                _logger.warning("[handler:slow] %s: %s took %.3f s", self.id, name, seconds)
                hooks.fire(hooks.handler_slow, tx, name, seconds)

    def _report_slow_drain(self, kind: int, states: tuple[str, ...], seconds: float) -> None:
        if not computing_takes_time():
            return
        what = f"[{KINDS[kind]}] {' '.join(states)}"
        _logger.warning("[handler:slow] %s: handlers of %s and what followed took %.3f s", self.id, what, seconds)

    def _note_recovery(self, plan: Plan) -> None:
        if self._log_level >= LogLevel.OPS:
            self._log(LogLevel.OPS, "[recover] handling panic...")
            names = self._automaton.compiled.names
            targets = " ".join([names[state] for state in plan.target.active])
            self._log(LogLevel.OPS, f"[cancel] ({targets}) by recover")

    def _args_text(self, args: Mapping[str, Any]) -> str:
        return args_suffix(self.log_args(args)) if args else ""

    def _log(self, level: int, text: str) -> None:
        if level <= self._log_level:
            written = line(self.id, text)
            _logger.log(logging.INFO if level <= LogLevel.CHANGES else logging.DEBUG, "%s", written)
            self._hooks.fire(self._hooks.log, self, level, written)
