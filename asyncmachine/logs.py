"""What does a machine write about itself? Levels and lines of asyncmachine-go 0.19, through `logging`.

Lines go to the logger "asyncmachine" as INFO. Arguments are shown through an allow-list only.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asyncmachine.tracing import Tracer

if TYPE_CHECKING:
    from asyncmachine.machine import Machine
    from asyncmachine.mutation import Mutation
    from asyncmachine.transition import Transition

_log = logging.getLogger("asyncmachine")

SHOWN_ARGS = ("name", "id", "port", "addr", "err", "path", "url", "uri")
_MAX_ARG = 20


class LogLevel(enum.IntEnum):
    """How much is written."""

    NOTHING = 0
    EXTERNAL = 1
    CHANGES = 2
    OPS = 3
    DECISIONS = 4
    EVERYTHING = 5


def shown(args: Mapping[str, Any]) -> str:
    """The part of the arguments that may be shown: ` (k=v k2=v2)`, sorted, long values cut."""
    texts = {key: str(args[key]) for key in sorted(SHOWN_ARGS) if key in args}
    cut = {key: text if len(text) <= _MAX_ARG else text[: _MAX_ARG - 3] + "..." for key, text in texts.items()}
    return f" ({' '.join(f'{key}={text}' for key, text in cut.items())})" if cut else ""


class LogTracer(Tracer):
    """Writes a machine's log lines.

    Args:
        level: up to which level.
    """

    def __init__(self, level: LogLevel) -> None:
        self._level = level

    def _write(self, machine: Machine, level: LogLevel, text: str) -> None:
        if level <= self._level:
            _log.info("[%s] %s", machine.id[:5], text)

    def mutation_queued(self, machine: Machine, mutation: Mutation) -> None:  # noqa: D102
        where = "queue" if mutation.queue_tick else "prepend"
        called = " ".join(mutation.called)
        self._write(machine, LogLevel.OPS, f"[{where}:{mutation.kind}] {called}{shown(mutation.args)}")

    def transition_init(self, tx: Transition) -> None:  # noqa: D102
        mutation = tx.mutation
        suffix, level = (":auto", LogLevel.DECISIONS) if mutation.is_auto else ("", LogLevel.OPS)
        self._write(tx.machine, level, f"[{mutation.kind}{suffix}] {' '.join(mutation.called)}{shown(mutation.args)}")
        if mutation.source is not None:
            self._write(tx.machine, LogLevel.OPS, f"[source] {mutation.source}")
        implied = [name for name in tx.enters if name not in mutation.called]
        if implied and tx.accepted:
            self._write(tx.machine, LogLevel.OPS, f"[implied] {' '.join(implied)}")
        if not tx.accepted:
            missing = [name for name in mutation.called if name not in tx.target]
            self._write(tx.machine, LogLevel.OPS, f"[cancel:reject] {' '.join(missing)}")

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:  # noqa: D102
        self._write(tx.machine, LogLevel.OPS, f"[handler:{binding}] {name}")

    def transition_finals(self, tx: Transition) -> None:  # noqa: D102
        changes = [f"+{name}" for name in tx.enters] + [f"-{name}" for name in tx.exits]
        if self._level >= LogLevel.EVERYTHING:
            changes += [name for name in tx.target if name not in tx.enters]
        if changes:
            word = "auto_" if tx.mutation.is_auto else "state"
            self._write(tx.machine, LogLevel.CHANGES, f"[{word}] {' '.join(changes)}{shown(tx.mutation.args)}")

    def transition_end(self, tx: Transition) -> None:  # noqa: D102
        if tx.canceled_by and tx.canceled_by != "relations":
            self._write(tx.machine, LogLevel.OPS, f"[cancel] ({' '.join(tx.target)}) by {tx.canceled_by}")

    def handler_slow(self, tx: Transition, name: str, seconds: float) -> None:  # noqa: D102
        self._write(tx.machine, LogLevel.CHANGES, f"[handler:slow] {name} took {seconds:.3f} s")
