"""Pipes: a state of one machine follows a state of another.

A pipe is a final handler of the source that mutates the target. The target never blocks or vetoes the source: an
ordinary pipe acts right after the source's transition, in order, with a copy of the arguments. A flat pipe acts inside
the transition, without arguments, and only if the target would change; a busy target decides that at its turn. Once one
machine is disposed, the pipe keeps neither in memory. Chains may have any length: from the 17th machine on, targets
are mutated after the first machine's pipe has acted, flat or not.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from asyncmachine._runtime import BUSY
from asyncmachine._waiters import WHEN_ENDS, Subscription
from asyncmachine.errors import MachineDisposedError
from asyncmachine.handlers import FixedHandlers
from asyncmachine.logs import LogLevel
from asyncmachine.relations import ADD, KINDS, REMOVE, SET
from asyncmachine.schema import EXCEPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncmachine.machine import Event, Machine
    from asyncmachine.mutation import Origin

ANY = "Any"
"""The state reported to tracers for a pipe from the whole machine."""


class _Flow:
    """One handler of a pipe, a callable."""

    __slots__ = ("flat", "kind", "states", "target")

    def __init__(self, target: Machine, kind: int, states: tuple[str, ...], *, flat: bool) -> None:
        self.target: Machine | None = target
        self.kind = kind
        self.states = states
        self.flat = flat

    @property
    def takes_errors(self) -> bool:
        """Whether errors are forwarded to the target, which must then handle them; see `_runtime`."""
        return self.target is not None and self.kind == ADD and not self.flat and EXCEPTION in self.states

    def __call__(self, event: Event) -> None:
        target = self.target
        if target is None:
            return
        source = event.source()
        if not self.flat:
            machine = event.machine
            machine.eval_soon(self._pass_on, machine, self.states, dict(event.args), source, label="pipe")
        elif target._flags & BUSY or not (target.is_(*self.states) if self.kind == ADD else target.not_(*self.states)):
            self._pass_on(event.machine, self.states, {}, source)

    def _pass_on(self, cause: Machine, states: tuple[str, ...], args: dict[str, Any], source: Origin) -> None:
        if self.target is not None:
            self.target._submit_across(cause, self.kind, states, args, source)
        elif self.kind == ADD and EXCEPTION in states:
            cause._log_dropped(args.get("error"), source)


class _Mirror(_Flow):
    """The handler of a pipe from the whole machine: sets the target's active states to those of the source."""

    __slots__ = ()

    def __call__(self, event: Event) -> None:
        machine = event.machine
        machine.eval_soon(
            self._pass_on, machine, machine.active_states(), dict(event.args), event.source(), label="pipe"
        )

    def _pass_on(self, cause: Machine, states: tuple[str, ...], args: dict[str, Any], source: Origin) -> None:
        target = self.target
        if target is not None and (target._flags & BUSY or set(target.active_states()) != set(states)):
            target._submit_across(cause, SET, states, args, source)


class _Outlet(FixedHandlers):
    """The object bound to the source: its attributes are the handlers."""

    __slots__ = ()

    stays_behind = True  # a copy of the source has no pipes


class Pipe:
    """A binding between two machines; ends with either of them, or by `unbind`.

    Attributes:
        id: Id of its handlers' binding on the source, as reported to tracers.
        is_bound: Whether it still forwards mutations.
    """

    __slots__ = ("__weakref__", "_flows", "_source", "_target_end", "id", "is_bound")

    def __init__(self, source: Machine, target: Machine, flows: dict[str, _Flow], name: str) -> None:
        for machine in (source, target):
            if machine.is_disposed:
                raise MachineDisposedError(machine.id)
        self.id = source.bind(_Outlet(flows), id=_free_id(source, name))
        self.is_bound = True
        self._flows = tuple(flows.values())
        # the source keeps the pipe and the target alive, not vice versa
        self._source = weakref.ref(source)
        source.on_dispose(self.unbind)
        self._target_end = _end_with(target, self)

    def unbind(self) -> None:
        """Stop forwarding mutations and drop pending ones. Further calls have no effect.

        Inside a handler of the source the empty handlers stay bound until its queue has been drained.
        """
        if not self.is_bound:
            return
        self.is_bound = False
        source, target = self._source(), self._flows[0].target
        for flow in self._flows:
            flow.target = None
        assert target is not None  # as long as the pipe is bound
        target._forget_at_disposal(self._target_end)
        target._log(LogLevel.OPS, f"[pipe:gc] {source.id if source is not None else ''}".rstrip())
        if source is None or source.is_disposed:
            return
        source._forget_at_disposal(self.unbind)
        source._log(LogLevel.OPS, f"[pipe:gc] {target.id}")
        if source._flags & BUSY:
            source._watch().put(Subscription(WHEN_ENDS, _AtRest(self._leave)))
        else:
            self._leave()

    def _leave(self) -> None:
        source = self._source()
        if source is not None and self.id in source._bindings:
            source.unbind(self.id)

    def __repr__(self) -> str:
        return f"<Pipe {self.id}{'' if self.is_bound else ' unbound'}>"


# one state


def add(source: Machine, target: Machine, state: str, target_state: str | None = None, *, flat: bool = False) -> Pipe:
    """Add a state of the target whenever a state of the source is entered.

    Args:
        source: The source machine.
        target: The target machine.
        state: A state of the source.
        target_state: A state of the target, the same name by default. With an error state (`Err...`), `Exception` is
            added too; the target's `err` is unchanged.
        flat: Act inside the source's transition, without arguments, and only if the target's state is inactive. (At the
            end of a chain of more than 16 machines: after it.)

    Raises:
        UnknownStateError: A name is not in its machine's schema.
        MachineDisposedError: One of the machines is disposed.
        AsyncMachineError: Called inside a handler of the source.
    """
    return _single(source, target, state, target_state, ADD, flat=flat)


def remove(
    source: Machine, target: Machine, state: str, target_state: str | None = None, *, flat: bool = False
) -> Pipe:
    """Remove a state of the target whenever a state of the source is entered. See `add`."""
    return _single(source, target, state, target_state, REMOVE, flat=flat)


def bind(
    source: Machine,
    target: Machine,
    state: str,
    active_state: str | None = None,
    inactive_state: str | None = None,
    *,
    flat: bool = False,
) -> Pipe:
    """Make a state of the target follow a state of the source: added when it is entered, removed when it is exited.

    Args:
        source: The source machine.
        target: The target machine.
        state: A state of the source.
        active_state: The state to add, the same name by default.
        inactive_state: The state to remove, `active_state` by default.
        flat: See `add`.

    Raises:
        UnknownStateError: A name is not in its machine's schema.
        MachineDisposedError: One of the machines is disposed.
        AsyncMachineError: Called inside a handler of the source.
    """
    active = state if active_state is None else active_state
    inactive = active if inactive_state is None else inactive_state
    return _bind(source, target, [(state, active, inactive)], f"Bind-{state}-{target.id}", flat=flat)


def bind_inverted(
    source: Machine, target: Machine, state: str, target_state: str | None = None, *, flat: bool = False
) -> Pipe:
    """Make a state of the target the opposite of a state of the source: removed on entry, added on exit.

    asyncmachine-go 0.19 has no such binding. See `add` for arguments and errors.
    """
    other = state if target_state is None else target_state
    flows = [(state, "State", REMOVE, other), (state, "End", ADD, other)]
    return _make(source, target, flows, f"BindInverted-{state}-{target.id}", flat=flat)


# several states


def bind_many(
    source: Machine,
    target: Machine,
    states: Iterable[str],
    target_states: Iterable[str] | None = None,
    *,
    flat: bool = False,
) -> Pipe:
    """Apply `bind` to several states, pair by pair.

    Raises:
        ValueError: No states are given, or their numbers differ.
        UnknownStateError: A name is not in its machine's schema.
        MachineDisposedError: One of the machines is disposed.
        AsyncMachineError: Called inside a handler of the source.
    """
    own, others = _paired(states, target_states)
    pairs = [(state, other, other) for state, other in zip(own, others, strict=True)]
    return _bind(source, target, pairs, f"BindMany-{len(own)}-{target.id}", flat=flat)


def bind_err(source: Machine, target: Machine, target_state: str = EXCEPTION) -> Pipe:
    """Add an error state of the target, and `Exception`, for each error of the source. See `add`."""
    return _make(source, target, [(EXCEPTION, "State", ADD, target_state)], f"BindErr-{target.id}", flat=False)


def bind_start(
    source: Machine, target: Machine, active_state: str = "Start", inactive_state: str | None = None
) -> Pipe:
    """Make a state of the target follow the source's `Start`. See `bind`."""
    inactive = active_state if inactive_state is None else inactive_state
    return _bind(source, target, [("Start", active_state, inactive)], f"BindStart-{target.id}", flat=False)


def bind_ready(
    source: Machine, target: Machine, active_state: str = "Ready", inactive_state: str | None = None
) -> Pipe:
    """Make a state of the target follow the source's `Ready`. See `bind`."""
    inactive = active_state if inactive_state is None else inactive_state
    return _bind(source, target, [("Ready", active_state, inactive)], f"BindReady-{target.id}", flat=False)


def bind_connected(
    source: Machine,
    target: Machine,
    *,
    disconnected: str = "Disconnected",
    connecting: str = "Connecting",
    connected: str = "Connected",
    disconnecting: str = "Disconnecting",
) -> Pipe:
    """Make four states of the target follow those of `schemas.Connected` in the source.

    Args:
        source: The source machine.
        target: The target machine.
        disconnected: The target's state for `Disconnected`; likewise the others.
        connecting: For `Connecting`.
        connected: For `Connected`.
        disconnecting: For `Disconnecting`.

    Raises:
        UnknownStateError: A name is not in its machine's schema (asyncmachine-go 0.19 fails when the state is entered).
        MachineDisposedError: One of the machines is disposed.
        AsyncMachineError: Called inside a handler of the source.
    """
    pairs = [
        ("Disconnected", disconnected, disconnected),
        ("Connecting", connecting, connecting),
        ("Connected", connected, connected),
        ("Disconnecting", disconnecting, disconnecting),
    ]
    return _bind(source, target, pairs, f"BindConnected-{target.id}", flat=False)


def bind_any(source: Machine, target: Machine) -> Pipe:
    """Set the target's states to those of the source after each of its transitions, if they differ.

    Removals are mirrored too (asyncmachine-go 0.19 ignores them). The target's own relations still apply.

    Raises:
        UnknownStateError: A state of the source is not in the target's schema.
        MachineDisposedError: One of the machines is disposed.
        AsyncMachineError: Called inside a handler of the source.
    """
    target._numbers(source.state_names)
    mirror = _Mirror(target, SET, (), flat=False)
    pipe = Pipe(source, target, {"AnyState": mirror}, f"BindAny-{target.id}")
    _tell(source, target, ANY, "set", ANY)
    return pipe


def sync(source: Machine, target: Machine, states: Iterable[str], target_states: Iterable[str] | None = None) -> int:
    """Synchronise states of the target with those of the source, once: one add and one remove.

    Pipes forward changes only; this is for states that were active before the pipe was made.

    Returns:
        Number of the target's states that differed.

    Raises:
        ValueError: No states are given, or their numbers differ.
        UnknownStateError: A name is not in its machine's schema.
    """
    own, others = _paired(states, target_states)
    source._numbers(own)
    target._numbers(others)
    pairs = list(zip(own, others, strict=True))
    missing = [other for state, other in pairs if source.is_(state) and not target.is_(other)]
    extra = [other for state, other in pairs if not source.is_(state) and target.is_(other)]
    if missing:
        target.add(*missing)
    if extra:
        target.remove(*extra)
    return len(missing) + len(extra)


def _single(source: Machine, target: Machine, state: str, target_state: str | None, kind: int, *, flat: bool) -> Pipe:
    other = state if target_state is None else target_state
    name = f"{KINDS[kind].capitalize()}{'Flat' if flat else ''}-{state}-{target.id}"
    return _make(source, target, [(state, "State", kind, other)], name, flat=flat)


def _bind(source: Machine, target: Machine, pairs: Iterable[tuple[str, str, str]], name: str, *, flat: bool) -> Pipe:
    flows = []
    for state, active, inactive in pairs:
        flows += [(state, "State", ADD, active), (state, "End", REMOVE, inactive)]
    return _make(source, target, flows, name, flat=flat)


def _make(source: Machine, target: Machine, wanted: list[tuple[str, str, int, str]], name: str, *, flat: bool) -> Pipe:
    """Check all names, bind one handler per (state, suffix, kind, target's state), and notify observers."""
    source._numbers([state for state, _, _, _ in wanted])
    target._numbers([other for _, _, _, other in wanted])
    flows = {}
    for state, suffix, kind, other in wanted:
        is_error = kind == ADD and other.startswith("Err")
        states = (EXCEPTION, other) if is_error else (other,)
        flows[state + suffix] = _Flow(target, kind, states, flat=flat)
    pipe = Pipe(source, target, flows, name)
    for state, _, kind, other in wanted:
        _tell(source, target, state, KINDS[kind], other)
    return pipe


def _paired(states: Iterable[str], target_states: Iterable[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    own = tuple(states)
    others = own if target_states is None else tuple(target_states)
    if not own or len(own) != len(others):
        raise ValueError(f"the source and the target need equally many states, at least one: got {own} and {others}")
    return own, others


def _free_id(source: Machine, name: str) -> str:
    """Return the id, numbered if it is taken: machines may share a name, and a state may have several pipes to a target."""
    count, free = 1, name
    while free in source._bindings:
        count += 1
        free = f"{name}-{count}"
    return free


def _tell(source: Machine, target: Machine, state: str, kind: str, target_state: str) -> None:
    """Notify the tracers of both machines, each once, and write both logs."""
    told = source._observers.pipe_add
    source._observers.fire(told, source, state, target, target_state)
    others = tuple([hook for hook in target._observers.pipe_add if hook not in told])
    target._observers.fire(others, source, state, target, target_state)
    source._log(LogLevel.OPS, f"[pipe-out:{kind}] {state} to {target.id}")
    target._log(LogLevel.OPS, f"[pipe-in:{kind}] {target_state} from {source.id}")


def _end_with(target: Machine, pipe: Pipe) -> Callable[[], None]:
    """Return a function that ends a pipe on its target's disposal, with a weak reference to the pipe."""
    machine = weakref.ref(target)

    def gone(_: object) -> None:
        if (still := machine()) is not None:
            still._forget_at_disposal(end)

    alive = weakref.ref(pipe, gone)

    def end() -> None:
        if (ended := alive()) is not None:
            ended.unbind()

    target.on_dispose(end)
    return end


class _AtRest:
    """A waiter that calls a function when a machine's queue has been drained."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def resolve(self, value: Any) -> None:
        """Called when the queue is empty or the machine is disposed."""
        self._function()

    def fail(self, error: BaseException) -> None:  # pragma: no cover - a Waiter has it; nothing calls it
        """Never called: waits for the end of the queue do not fail."""
        raise AssertionError("a wait for the end of the queue cannot fail") from error
