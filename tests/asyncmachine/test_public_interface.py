"""The public names of the library, with the signatures users rely on."""

from __future__ import annotations

import ast
import asyncio
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import asyncmachine
from asyncmachine import (
    Event,
    HandlerError,
    HandlerNameError,
    LogLevel,
    Machine,
    MachineDisposedError,
    Mutation,
    NestedEvalError,
    RefusedBy,
    Result,
    Schema,
    SchemaError,
    State,
    StateContext,
    Tracer,
    Transition,
    UnknownStateError,
    history,
    pipes,
    schemas,
    testing,
)
from asyncmachine._observers import HOOKS

POSITIONAL = "*states, **args"

SIGNATURES: dict[object, str] = {
    State: "*, auto=False, multi=False, require=(), add=(), remove=(), after=(), tags=()",
    Schema.of: "mapping, *, name='Schema'",
    Schema.to_dict: "",
    Schema.merge: "other",
    Schema.prefix: "prefix, *, remove_dups=False, allow=None, skip=()",
    Machine: "schema, *, id=None, handlers=None, parent=None, tracers=(), log_level=<LogLevel.NOTHING: 0>, "
    "queue_limit=1000, slow_handler_s=None, tags=()",
    Machine.add: f"self, {POSITIONAL}",
    Machine.remove: f"self, {POSITIONAL}",
    Machine.set: f"self, {POSITIONAL}",
    Machine.toggle: f"self, {POSITIONAL}",
    Machine.can_add: f"self, {POSITIONAL}",
    Machine.can_remove: f"self, {POSITIONAL}",
    Machine.add_err: f"self, exc, {POSITIONAL}",
    Machine.prepare: "self, kind, *states",
    Machine.recycle: "self, *, id=None",
    Machine.eval: "self, fn, *args, label=''",
    Machine.eval_soon: "self, fn, *args, label=''",
    Machine.is_: "self, *states",
    Machine.not_: "self, *states",
    Machine.any_: "self, *states",
    Machine.has: "self, *states",
    Machine.active_states: "self",
    Machine.tick: "self, state",
    Machine.time: "self, *states",
    Machine.clock: "self, *states",
    Machine.was_clock: "self, clock",
    Machine.is_clock: "self, clock",
    Machine.switch: "self, *groups",
    Machine.queued: "self",
    Machine.will_be: "self, *states",
    Machine.will_be_removed: "self, *states",
    Machine.is_err: "self",
    Machine.string_all: "self",
    Machine.inspect: "self, *states",
    Machine.bind: "self, handlers, *, id=None",
    Machine.unbind: "self, id",
    Machine.bind_tracer: "self, tracer",
    Machine.unbind_tracer: "self, tracer",
    Machine.state_ctx: "self, state",
    Machine.fork: "self, coro, state=None",
    Machine.dispose: "self",
    Machine.disposed: "self",
    Machine.on_dispose: "self, fn",
    Machine.export: "self",
    Machine.restore: "schema, data, **options",
    Machine.set_schema: "self, schema",
    Machine.when: "self, *states",
    Machine.when_not: "self, *states",
    Machine.when_time: "self, times",
    Machine.when_ticks: "self, state, n",
    Machine.when_next_active: "self, state",
    Machine.when_args: "self, state, **args",
    Machine.when_query: "self, fn",
    Machine.when_queue: "self, result",
    Machine.when_queue_ends: "self",
    Machine.when_err: "self",
    Machine.when_disposed: "self",
    Event.add: f"self, {POSITIONAL}",
    Event.remove: f"self, {POSITIONAL}",
    Event.set: f"self, {POSITIONAL}",
    Event.add_err: f"self, exc, {POSITIONAL}",
    Event.fork: "self, coro",
    StateContext.fork: "self, coro",
    StateContext.wait_expired: "self",
    Tracer.machine_init: "self, machine",
    Tracer.machine_dispose: "self, machine",
    Tracer.submachine_new: "self, parent, machine",
    Tracer.schema_change: "self, machine, old",
    Tracer.mutation_queued: "self, machine, mutation",
    Tracer.transition_init: "self, tx",
    Tracer.transition_start: "self, tx",
    Tracer.handler_start: "self, tx, binding, name",
    Tracer.handler_end: "self, tx, binding, name",
    Tracer.handler_slow: "self, tx, name, seconds",
    Tracer.transition_finals: "self, tx",
    Tracer.transition_end: "self, tx",
    Tracer.queue_end: "self, machine",
    Tracer.state_ctx_new: "self, machine, ctx",
    Tracer.state_ctx_end: "self, machine, ctx",
    Tracer.subscription_new: "self, machine, text",
    Tracer.subscription_match: "self, machine, text",
    Tracer.pipe_add: "self, machine, state, target, target_state",
    Tracer.task_fork: "self, machine, task, state",
    Tracer.log: "self, machine, level, line",
    pipes.add: "source, target, state, target_state=None, *, flat=False",
    pipes.bind: "source, target, state, active_state=None, inactive_state=None, *, flat=False",
    pipes.sync: "source, target, states, target_states=None",
    testing.assert_states: "machine, *states",
}


def shape(called: Any) -> str:
    """The parameters without their annotations."""
    parameters = inspect.signature(called).parameters.values()
    parts = []
    starred = False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        starred = starred or p.kind is p.VAR_POSITIONAL
        prefix = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        default = "" if p.default is p.empty else f"={p.default!r}"
        parts.append(prefix + p.name + default)
    return ", ".join(parts)


@pytest.mark.parametrize("called", SIGNATURES, ids=lambda called: getattr(called, "__qualname__", str(called)))
def test_signature(called: object) -> None:
    """Exactly these parameters, in this order, with these defaults."""
    assert shape(called) == SIGNATURES[called]


PROPERTIES: dict[type, str] = {
    Machine: "queue_tick queue_len err transition is_disposed id parent tags queue_limit slow_handler_s log_level schema state_names",
    Result: "EXECUTED CANCELED executed canceled queued tick reason refused_by",
    RefusedBy: "by machine_id kind called handler relations error limit",
    Mutation: "kind called args is_auto is_check source",
    Transition: "id mutation machine before after target enters exits accepted completed canceled_by",
    Event: "name args machine transition mutation is_check ctx",
    StateContext: "expired state tick",
    Schema: "names states",
    State: "auto multi require add remove after tags",
}


@pytest.mark.parametrize("owner", PROPERTIES, ids=lambda owner: owner.__name__)
def test_attributes(owner: type) -> None:
    """What can be read of each."""
    assert [name for name in PROPERTIES[owner].split() if not hasattr(owner, name)] == []


def test_read_only() -> None:
    """Views of the engine cannot be changed into something that never happened."""
    seen: list[Transition] = []

    class Look(Tracer):
        def transition_end(self, tx: Transition) -> None:
            seen.append(tx)

    Machine({"A": {}}, tracers=(Look(),)).add("A")
    for name in ("id", "mutation", "after", "target", "enters", "exits"):
        with pytest.raises(AttributeError):
            setattr(seen[0], name, None)


def test_every_public_name_is_listed_and_documented() -> None:
    """`__all__` is sorted, complete and without a name that lacks a docstring."""
    assert list(asyncmachine.__all__) == sorted(asyncmachine.__all__)
    for name in asyncmachine.__all__:
        assert getattr(asyncmachine, name).__doc__, name


@pytest.mark.parametrize("room", [history, pipes, schemas, testing], ids=lambda room: room.__name__)
def test_every_public_function_is_documented(room: Any) -> None:
    """In the outer rooms too, each with the docstring of its own."""
    own = [
        thing
        for name, thing in vars(room).items()
        if not name.startswith("_") and getattr(thing, "__module__", "") == room.__name__
    ]
    assert own
    assert [thing for thing in own if callable(thing) and not thing.__doc__] == []


def test_error_classes() -> None:
    """All derive from one base; an unknown state is a KeyError too."""
    errors = (HandlerError, HandlerNameError, MachineDisposedError, NestedEvalError, SchemaError, UnknownStateError)
    assert all(issubclass(error, asyncmachine.AsyncMachineError) for error in errors)
    assert issubclass(UnknownStateError, KeyError)
    assert issubclass(HandlerNameError, HandlerError)
    assert [level.name for level in LogLevel] == "NOTHING EXTERNAL CHANGES OPS DECISIONS EVERYTHING".split()


@pytest.mark.parametrize("ask", ["add", "remove", "set", "toggle", "can_add", "can_remove", "is_", "not_", "any_", "tick", "time", "clock", "switch", "will_be", "will_be_removed", "inspect", "when", "when_not", "when_next_active", "when_args", "state_ctx"])  # fmt: skip
def test_unknown_names_are_errors_everywhere_but_in_has(ask: str) -> None:
    """With the close matches, also when other names are known."""

    async def main() -> None:
        m = Machine({"Apple": {}, "B": {}}, id="m")
        assert not m.has("Aple")
        with pytest.raises(UnknownStateError, match="'Aple' is not defined in the schema of 'm'; did you mean 'Apple'"):
            getattr(m, ask)("Aple")

    asyncio.run(main())


def test_no_truth_value() -> None:
    """Nobody mistakes "queued" for success."""
    with pytest.raises(TypeError):
        bool(Machine({"A": {}}).add("A"))


def test_standard_library_only() -> None:
    """No module of the library imports anything else, and the outer rooms come only when asked for."""
    package = Path(asyncmachine.__file__).parent
    for path in package.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert all(n.split(".")[0] in {*sys.stdlib_module_names, "asyncmachine"} for n in names), path
    code = "import sys, asyncmachine; print(*sorted(m for m in sys.modules if m.startswith('asyncmachine.')))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert not {"asyncmachine.pipes", "asyncmachine.history", "asyncmachine.schemas", "asyncmachine.testing"} & set(
        loaded.split()
    )


def test_renamed_things_keep_their_former_names() -> None:
    """A former name is the new thing itself."""
    assert (Machine.is_, Machine.not_, Machine.any_) == (Machine.is_active, Machine.is_inactive, Machine.any_active)
    assert asyncmachine.Outcome is asyncmachine.EvalFuture
    assert {"Axis", "History", "Query", "Record", "Span", "UntrackedStateError"} <= set(history.__all__)


def test_every_hook_is_a_method_of_the_base_class() -> None:
    """And every method of it is a hook that costs nothing until it is overridden."""
    hooks = {name for name in vars(Tracer) if not name.startswith("_")}
    assert hooks == set(HOOKS)
    assert all(getattr(Tracer, name).is_no_op for name in HOOKS)
