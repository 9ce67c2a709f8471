"""The log lines from which am-dbg fills its panes, generated from the changes of transitions.

If a machine's own log was recorded, its lines are used instead. Texts and levels follow asyncmachine-go 0.19.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from asyncmachine.export.amdbg.messages import transition_id
from asyncmachine.logs import LogLevel, args_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from asyncmachine.export.amdbg.messages import Lines
    from asyncmachine.record.format import Change, Step

_SOURCE: Final = re.compile(r"\[source\] (?P<machine>.+)/(?P=machine)-(?P<own>p?)(?P<number>\d+)/(?P<time>\d+)")
_FINAL: Final = ("State", "End")


class Cause(NamedTuple):
    """The transition a mutation was made in."""

    machine: str
    tx: str
    time: int
    """Sum of the machine's ticks before it."""


def transition_lines(
    change: Change,
    after: Mapping[str, int],
    *,
    cause: Cause | None = None,
    args: Mapping[str, str] | None = None,
    steps: Iterable[Step] = (),
    handlers: Sequence[tuple[int, str]] = (),
    error: str = "",
) -> Lines:
    """Return the log lines of a transition, except those about the mutations it queued.

    Args:
        change: The change it made.
        after: Ticks after it, by state.
        cause: The transition it was made in.
        args: Its loggable arguments.
        steps: Its known steps.
        handlers: The handlers that ran: number of their binding, and name.
        error: The error it carries.
    """
    suffix = args_suffix(args or {})
    called = " ".join(change.called)
    lines: Lines = [] if change.is_auto else [(LogLevel.OPS, f"[{change.kind}] {called}{suffix}")]
    if cause is not None:
        lines.append((LogLevel.OPS, f"[source] {cause.machine}/{cause.tx}/{cause.time}"))
    lines += _reasons(change, steps)
    ran = [(name.endswith(_FINAL), f"[handler:{slot}] {name}") for slot, name in handlers]
    lines += [(LogLevel.OPS, text) for is_final, text in ran if not is_final]
    if change.refused_by not in ("", "relations", "error"):
        name = change.refused_by
        half = name[: len(name) // 2]
        lines.append((LogLevel.OPS, f"[cancel{':self' if half + half == name else ''}] ({called}) by {name}"))
    if moved := _moved(change, after):
        lines.append((LogLevel.CHANGES, f"[{'auto_' if change.is_auto else 'state'}] {moved}{suffix}"))
    lines += [(LogLevel.OPS, text) for is_final, text in ran if is_final]
    if change.refused_by == "error":
        lines.append((LogLevel.OPS, f"[cancel] ({called}) by recover"))
    if error and "Exception" in change.called:
        lines.append((LogLevel.CHANGES, f"[error] {error}"))
    return lines


def _moved(change: Change, after: Mapping[str, int]) -> str:
    entered = [f"+{state}" for state in change.moved if after.get(state, 0) & 1]
    left = [f"-{state}" for state in change.moved if not after.get(state, 0) & 1]
    return " ".join(entered + left)


def _reasons(change: Change, steps: Iterable[Step]) -> Lines:
    """Return the lines on relations: removed, missing, implied and refused states."""
    removed: dict[str, dict[str, None]] = {}
    missing: dict[str, dict[str, None]] = {}
    implied: dict[str, None] = {}
    for state, what, others in change.reason:
        (missing if what == "requires" else removed).setdefault(state, {}).update(dict.fromkeys(others))
    for step in steps:
        if step.kind == "missing" and step.other:
            missing.setdefault(step.state, {})[step.other] = None
        elif step.kind == "relation" and step.relation == "remove":
            removed.setdefault(step.other, {})[step.state] = None
        elif step.kind == "relation" and step.relation == "add":
            implied[step.other] = None
    lines: Lines = [(LogLevel.OPS, f"[rel:remove] {state} by {' '.join(by)}") for state, by in removed.items()]
    if missing:
        texts = [f"{state}(-{' -'.join(others)})" for state, others in missing.items()]
        level, kind = (LogLevel.DECISIONS, "reject:auto") if change.is_auto else (LogLevel.OPS, "reject")
        lines.append((level, f"[{kind}] {' '.join(texts)}"))
    if implied:
        lines.append((LogLevel.OPS, f"[implied] {' '.join(implied)}"))
    if change.refused_by == "relations":
        refused = [state for state in change.called if state in missing or state in removed] or change.called
        lines.append((LogLevel.OPS, f"[cancel:reject] {' '.join(refused)}"))
    return lines


def queued_lines(
    kind: str, called: Sequence[str], args: Mapping[str, str], *, is_auto: bool, is_prepended: bool, waiting: int = 0
) -> Lines:
    """Return the log lines of a queued mutation.

    Args:
        kind: "add", "remove" or "set".
        called: The called states.
        args: Its loggable arguments.
        is_auto: Whether the machine made it for its Auto states.
        is_prepended: Whether it goes ahead of the queue.
        waiting: Length of the queue of a busy machine, including this mutation; 0 for an idle one.
    """
    names = " ".join(called)
    lines: Lines = [(LogLevel.OPS, f"[auto] {names}")] if is_auto else []
    lines.append((LogLevel.OPS, f"[{'prepend' if is_prepended else 'queue'}:{kind}] {names}{args_suffix(args)}"))
    if waiting:
        lines.append((LogLevel.OPS, f"[postpone] queue running ({waiting} item{'' if waiting == 1 else 's'})"))
    return lines


def wait_line(kind: str, text: str) -> str:
    """Return the log line of a wait, a context or a pipe; empty if am-dbg has no such line."""
    if kind in ("new", "match"):
        return text
    if kind in ("context", "context ends"):
        return f"[ctx:{'new' if kind == 'context' else 'match'}] {text.partition(' ')[0]}"
    if kind == "pipe":
        state, _, target = text.partition(" to ")
        return f"[pipe-out:add] {state} to {target.rpartition(' ')[0]}"
    return ""


def own_line(machine: str, text: str, *, ids: bool) -> str:
    """Return a machine's log line in the format of am-dbg.

    Args:
        machine: The machine's id.
        text: The line, prefixed with the beginning of the machine's id.
        ids: Replace transition ids with those of am-dbg.
    """
    text = text.removeprefix(f"[{machine[:5]}] ")
    found = _SOURCE.fullmatch(text) if ids else None
    if found is None:
        return text
    number = int(found["number"]) * (-1 if found["own"] else 1)
    return f"[source] {found['machine']}/{transition_id(found['machine'], number)}/{found['time']}"


def begin_with_the_call(kind: str, before: Lines, inside: Lines) -> tuple[Lines, Lines]:
    """Divide a transition's own lines like the Go library, where the first one, such as "[add] Foo", is already inside.

    Args:
        kind: "add", "remove" or "set".
        before: The lines from before the transition began.
        inside: The lines since.
    """
    starts = (f"[{kind}] ", f"[{kind}:auto] ")
    for place in reversed(range(len(before))):
        if before[place][1].startswith(starts):
            return before[:place], before[place:] + inside
    return before, inside
