"""A plain resolver: the states that should be active after a mutation, computed directly from the rules.

It uses names, lists and loops instead of numbers and bit masks. It is an oracle for `asyncmachine.relations`, made from
the rules of asyncmachine-go 0.19 and the decided differences (Add to its fixpoint; an active Multi state adds only when
called; Require order by definition; After between any two states). It shares no code with the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncmachine import State


class Target(NamedTuple):
    """The states to be active, in order, and those of them that came in after Remove had been judged."""

    states: tuple[str, ...]
    late: frozenset[str]


def resolve(states: Mapping[str, State], active: Sequence[str], kind: str, called: Sequence[str]) -> Target:
    """Return the target of "add", "remove" or "set" in a configuration."""
    called = list(dict.fromkeys(called))
    if kind == "remove":
        base = [name for name in active if name not in called]
    elif kind == "set":
        base = list(called)
    else:
        base = [*called, *(name for name in active if name not in called)]

    def implied(name: str) -> Sequence[str]:
        entered = name not in active or (states[name].multi and name in called)
        return states[name].add if entered and kind != "remove" else ()

    def expand(names: list[str]) -> list[str]:
        grown = list(names)
        for name in grown:
            grown += [other for other in implied(name) if other not in grown]
        return grown

    def prune(names: list[str]) -> list[str]:
        kept = [name for name in names if all(other in names for other in states[name].require)]
        return kept if len(kept) == len(names) else prune(kept)

    listed = prune(expand(base))
    kept: list[str] = []
    blocked: set[str] = set()
    for name in reversed(listed):
        if any(name in states[other].remove and other not in blocked for other in listed):
            blocked.add(name)
        else:
            kept.append(name)
    gone = {other for name in kept for other in states[name].remove}
    again = [name for name in expand(kept) if name not in gone]
    target = sort(states, prune(again[::-1]))
    return Target(tuple(target), frozenset(target) - frozenset(kept))


def sort(states: Mapping[str, State], names: Sequence[str]) -> list[str]:
    """Order states for their handlers."""
    order = require_order(states)
    ordered = sorted(names, key=lambda name: order.index(name) if name in order else -1)
    done: list[str] = []
    while ordered:
        free = [name for name in ordered if not any(other in ordered for other in states[name].after)]
        done.append(free[0] if free else ordered[0])
        ordered.remove(done[-1])
    return done


def require_order(states: Mapping[str, State]) -> list[str]:
    """Return the states of Require edges, required ones first; empty if they form a cycle."""
    edges = {name: set(state.require) for name, state in states.items()}
    waiting = [name for name in states if edges[name] or any(name in others for others in edges.values())]
    order: list[str] = []
    while waiting:
        free = [name for name in waiting if edges[name] <= set(order)]
        if not free:
            return []
        order.append(free[0])
        waiting.remove(free[0])
    return order


def autos(states: Mapping[str, State], active: Sequence[str]) -> tuple[str, ...]:
    """Return the Auto states to be called: inactive, and removed by no active state."""
    removed = {other for name in active for other in states[name].remove}
    return tuple(name for name, state in states.items() if state.auto and name not in active and name not in removed)
