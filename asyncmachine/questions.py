"""What can be asked of a machine? Which states are active, how often they were, and how that reads as text.

Changes nothing. After disposal, answers are neutral: False, 0, empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asyncmachine.automaton import Automaton, Node, Program
from asyncmachine.gate import DISPOSED
from asyncmachine.schema import EXCEPTION


class Questions:
    """The read-only side of a machine."""

    id: str
    state_names: tuple[str, ...]
    _automaton: Automaton
    _program: Program
    _node: Node
    _ticks: list[int]
    _gate: int
    _err: BaseException | None

    def is_(self, *states: str) -> bool:
        """Whether all are active; True for none at all."""
        ticks = self._ticks
        if self._gate & DISPOSED:
            return False
        return all(ticks[number] & 1 for number in self._program.numbers(states, self.id))

    def not_(self, *states: str) -> bool:
        """Whether none is active."""
        ticks = self._ticks
        if self._gate & DISPOSED:
            return False
        return not any(ticks[number] & 1 for number in self._program.numbers(states, self.id))

    def any_(self, *states: str) -> bool:
        """Whether at least one is active."""
        ticks = self._ticks
        if self._gate & DISPOSED:
            return False
        return any(ticks[number] & 1 for number in self._program.numbers(states, self.id))

    def has(self, *states: str) -> bool:
        """Whether all exist."""
        return all(state in self._program.relations.index for state in states)

    def active_states(self) -> tuple[str, ...]:
        """The active states, in the order of the last target."""
        return () if self._gate & DISPOSED else self._program.names(self._node.active)

    def tick(self, state: str) -> int:
        """How often a state was activated and deactivated; odd means active."""
        (number,) = self._program.numbers((state,), self.id)
        return 0 if self._gate & DISPOSED else self._ticks[number]

    def time(self, *states: str) -> tuple[int, ...]:
        """Ticks of states, or of all in definition order."""
        numbers = self._program.numbers(states, self.id)
        if self._gate & DISPOSED:
            return ()
        return tuple(self._ticks[number] for number in numbers) if states else tuple(self._ticks)

    def clock(self, *states: str) -> dict[str, int]:
        """Ticks of states, or of all, by name."""
        names = states or self.state_names
        self._program.numbers(states, self.id)
        if self._gate & DISPOSED:
            return {}
        index = self._program.relations.index
        return {name: self._ticks[index[name]] for name in names}

    def was_clock(self, clock: Mapping[str, int]) -> bool:
        """Whether every tick given has been reached."""
        self._program.numbers(tuple(clock), self.id)
        return not self._gate & DISPOSED and all(self.tick(name) >= tick for name, tick in clock.items())

    def is_clock(self, clock: Mapping[str, int]) -> bool:
        """Whether every tick given is the present one."""
        self._program.numbers(tuple(clock), self.id)
        return not self._gate & DISPOSED and all(self.tick(name) == tick for name, tick in clock.items())

    def switch(self, *groups: Iterable[str]) -> str:
        """The first active state of the groups, in order; "" if none is."""
        return next((state for group in groups for state in group if self.is_(state)), "")

    @property
    def err(self) -> BaseException | None:
        """The last error; stays when Exception is removed."""
        return self._err

    def is_err(self) -> bool:
        """Whether Exception is active."""
        return self.is_(EXCEPTION)

    def __str__(self) -> str:
        if self._gate & DISPOSED:
            return ""
        return f"({' '.join(self._texts(1))})"

    def string_all(self) -> str:
        """Active states with ticks, then inactive ones: `(A:1) [B:0]`."""
        return "" if self._gate & DISPOSED else f"({' '.join(self._texts(1))}) [{' '.join(self._texts(0))}]"

    def inspect(self, *states: str) -> str:
        """Ticks and relations of states, or of all, in lines."""
        self._program.numbers(states, self.id)
        if self._gate & DISPOSED:
            return ""
        lines = []
        for name in states or self.state_names:
            state, tick = self._automaton.states[name], self.tick(name)
            lines += [f"{tick & 1} {name}", f"    |{'Tick':<9}{tick}"]
            lines += [f"    |{flag.capitalize():<9}true" for flag in ("auto", "multi") if getattr(state, flag)]
            relations = ("add", "require", "remove", "after")
            lines += [f"    |{r.capitalize():<9}{' '.join(getattr(state, r))}" for r in relations if getattr(state, r)]
        return "\n".join(lines) + "\n"

    def _texts(self, parity: int) -> list[str]:
        return [f"{n}:{t}" for n, t in zip(self.state_names, self._ticks, strict=True) if t & 1 == parity]
