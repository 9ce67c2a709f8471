"""A state of one machine follows a state of another, and neither holds the other back or keeps it alive."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import (
    AsyncMachineError,
    Event,
    LogLevel,
    Machine,
    MachineDisposedError,
    Tracer,
    UnknownStateError,
    pipes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE: dict[str, Any] = {"A": {}, "B": {}, "M": {"multi": True}, "ErrDisk": {"multi": True}}
TARGET: dict[str, Any] = {"X": {}, "Y": {}, "M": {"multi": True}, "ErrDisk": {"multi": True}, "A": {}, "B": {}}


def pair() -> tuple[Machine, Machine]:
    return Machine(SOURCE, id="src"), Machine(TARGET, id="dst")


class Calls:
    """Writes down what the target was asked, and from where."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.args: list[dict[str, Any]] = []

    def AnyState(self, e: Event) -> None:
        source = e.mutation.source
        self.seen.append(f"{e.mutation} from {source.machine_id if source else None}")
        self.args.append(e.args)


def test_bind() -> None:
    """The reference's example: entering adds the one state, leaving removes the other."""
    src, dst = pair()
    dst.add("Y")
    pipes.bind(src, dst, "A", "X", "Y")
    src.add("A")
    assert dst.active_states() == ("X", "Y")
    src.remove("A")
    assert dst.active_states() == ("X",)


def test_bind_to_one_state() -> None:
    """With one name, or none, the target's state is as active as the source's."""
    src, dst = pair()
    pipes.bind(src, dst, "A")
    pipes.bind(src, dst, "B", "Y")
    src.set("A", "B")
    assert set(dst.active_states()) == {"A", "Y"}
    src.set("M")
    assert dst.active_states() == ()


def test_inverted() -> None:
    """The target's state is the opposite of the source's."""
    src, dst = pair()
    dst.add("X")
    pipes.bind_inverted(src, dst, "A", "X")
    src.add("A")
    assert dst.not_("X")
    src.remove("A")
    assert dst.is_("X")


def test_remove() -> None:
    """Entering a state removes one of the target; leaving does nothing."""
    src, dst = pair()
    dst.add("X")
    pipes.remove(src, dst, "A", "X")
    src.add("A")
    assert dst.not_("X")
    src.remove("A")
    assert dst.not_("X")


@pytest.mark.parametrize(("flat", "tick"), [(False, 3), (True, 1)])
def test_multi(flat: bool, tick: int) -> None:
    """Each activation of a Multi state passes, but a flat pipe leaves an active state alone."""
    src, dst = pair()
    pipes.add(src, dst, "M", flat=flat)
    src.add("M")
    src.add("M")
    assert dst.tick("M") == tick


def test_arguments_and_source() -> None:
    """The target gets a copy of the arguments and knows the transition they come from; a flat pipe passes none."""
    src, dst = pair()
    calls = Calls()
    dst.bind(calls)
    pipes.add(src, dst, "A", "X")
    pipes.add(src, dst, "B", "Y", flat=True)
    args = {"n": 1}
    src.prepare("add", "A")(args)
    src.add("B", n=2)
    assert calls.seen == ["[add] X from src", "[add] Y from src"]
    assert calls.args == [{"n": 1}, {}]
    assert calls.args[0] is not args


def test_order_of_turns() -> None:
    """An ordinary pipe acts after the source's transition and in order; a flat one acts inside it."""
    src, dst = pair()
    seen: list[str] = []

    class Source:
        def AState(self, e: Event) -> None:
            seen.append("AState")
            e.add("B")

        def BState(self, e: Event) -> None:
            seen.append("BState")

    class Target:
        def AnyState(self, e: Event) -> None:
            seen.append(str(e.mutation))

    dst.bind(Target())
    pipes.add(src, dst, "A", "X")
    pipes.add(src, dst, "A", "Y", flat=True)
    pipes.add(src, dst, "A", "M")
    src.bind(Source())
    src.add("A")
    assert seen == ["[add] Y", "AState", "[add] X", "[add] M", "BState"]


def test_refusing_and_failing_targets_do_not_disturb_the_source() -> None:
    """A veto or an error in the target stays there."""
    src, dst = pair()

    class Target:
        def XEnter(self, e: Event) -> bool:
            return False

        def YState(self, e: Event) -> None:
            raise ValueError("no")

    dst.bind(Target())
    pipes.bind(src, dst, "A", "X")
    pipes.bind(src, dst, "B", "Y")
    assert src.add("A").executed
    assert src.add("B").executed
    assert src.active_states() == ("B", "A")
    assert not src.is_err()
    assert (dst.active_states(), str(dst.err)) == (("Exception",), "no")


def test_error_states_come_with_exception() -> None:
    """An error state is added together with Exception, the error among the arguments; `err` stays the target's own."""
    src, dst = pair()
    pipes.bind_err(src, dst, "ErrDisk")
    error = OSError("full")
    seen = []

    class Target:
        def ErrDiskState(self, e: Event) -> None:
            seen.append(e.args["error"])

    dst.bind(Target())
    src.add_err(error)
    assert set(dst.active_states()) == {"Exception", "ErrDisk"}
    assert seen == [error]
    assert dst.err is None
    plain_src, plain = pair()
    pipes.bind_err(plain_src, plain)
    plain_src.add_err(error)
    assert plain.is_err()
    pipes.add(plain_src, plain, "ErrDisk")
    plain_src.add("ErrDisk")
    assert plain.clock("Exception", "ErrDisk") == {"Exception": 3, "ErrDisk": 1}


def test_start_ready_connected() -> None:
    """The ready-made bindings of start, readiness and connection."""
    names = ("Start", "Ready", "Disconnected", "Connecting", "Connected", "Disconnecting")
    src = Machine({key: {} for key in names})
    dst = Machine({key: {} for key in (*names, "Up", "Online")})
    pipes.bind_start(src, dst, "Up")
    pipes.bind_ready(src, dst)
    pipes.bind_connected(src, dst, connected="Online")
    for state in names:
        src.set(state)
        expected = {"Start": "Up", "Connected": "Online"}.get(state, state)
        assert dst.active_states() == (expected,)
    with pytest.raises(UnknownStateError, match="did you mean 'Online'"):
        pipes.bind_connected(src, dst, disconnecting="Onlin")


def test_whole_machine() -> None:
    """The target's states are those of the source after each transition, removals included."""
    src = Machine({"A": {}, "B": {}, "X": {}})
    dst = Machine({"A": {}, "B": {}, "X": {}})
    pipes.bind_any(src, dst)
    src.add("A", "B")
    assert dst.time() == src.time()
    src.remove("B")
    assert dst.active_states() == ("A",)
    src.set("X")
    assert dst.string_all() == "(X:1) [Exception:0 A:2 B:2]"
    before = dst.queue_tick
    src.add("X")
    assert dst.queue_tick == before


def test_whole_machine_needs_all_states() -> None:
    """A state the target lacks is refused when binding."""
    src, dst = Machine({"A": {}, "Apple": {}}), Machine({"A": {}, "Apples": {}})
    with pytest.raises(UnknownStateError, match="did you mean 'Apples'"):
        pipes.bind_any(src, dst)


def test_many_and_sync() -> None:
    """Pairs of states, and what was active before there was a pipe."""
    src, dst = pair()
    src.add("A")
    dst.add("Y")
    pipes.bind_many(src, dst, ("A", "B"), ("X", "Y"))
    assert dst.active_states() == ("Y",)
    assert pipes.sync(src, dst, ("A", "B"), ("X", "Y")) == 2
    assert dst.active_states() == ("X",)
    assert pipes.sync(src, dst, ("A", "B"), ("X", "Y")) == 0
    src.set("B")
    assert dst.active_states() == ("Y",)


@pytest.mark.parametrize("call", [pipes.bind_many, pipes.sync])
def test_unequal_lists(call: Callable[..., object]) -> None:
    """As many names on the one side as on the other."""
    src, dst = pair()
    with pytest.raises(ValueError, match="equally many states"):
        call(src, dst, ("A", "B"), ("X",))
    with pytest.raises(ValueError, match="at least one"):
        call(src, dst, ())


@pytest.mark.parametrize("make", [pipes.add, pipes.remove, pipes.bind, pipes.bind_inverted])
def test_unknown_states(make: Callable[..., pipes.Pipe]) -> None:
    """Both names are checked, and nothing is bound."""
    src, dst = pair()
    with pytest.raises(UnknownStateError, match="'src'; did you mean 'ErrDisk'"):
        make(src, dst, "ErrDisc", "X")
    with pytest.raises(UnknownStateError, match="'dst'; did you mean 'ErrDisk'"):
        make(src, dst, "A", "ErrDisc")
    src.add("A")
    assert dst.active_states() == ()


class PipesSeen(Tracer):
    """Writes down new pipes."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def pipe_add(self, machine: Machine, state: str, target: Machine, target_state: str) -> None:
        self.seen.append(f"{machine.id}.{state} -> {target.id}.{target_state}")


def test_tracers_and_logs_of_both_machines_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Each tracer once, even if it is bound to both machines; both logs."""
    src, dst = pair()
    both, one = PipesSeen(), PipesSeen()
    src.bind_tracer(both)
    dst.bind_tracer(both)
    dst.bind_tracer(one)
    src.log_level = dst.log_level = LogLevel.OPS
    with caplog.at_level(logging.DEBUG, "asyncmachine"):
        pipe = pipes.add(src, dst, "A", "X")
        pipe.unbind()
    assert both.seen == one.seen == ["src.A -> dst.X"]
    lines = [line for line in caplog.messages if "pipe" in line]
    assert lines == [
        "[src] [pipe-out:add] A to dst",
        "[dst] [pipe-in:add] X from src",
        "[dst] [pipe:gc] src",
        "[src] [pipe:gc] dst",
    ]


def test_ids() -> None:
    """A binding's id names the pipe, and is numbered where it is taken."""
    src, dst = pair()
    assert [pipes.bind(src, dst, "A").id, pipes.bind(src, dst, "A", "X").id] == ["Bind-A-dst", "Bind-A-dst-2"]
    assert pipes.add(src, dst, "A", flat=True).id == "AddFlat-A-dst"
    src.add("A")
    assert dst.is_("A", "X")


def test_unbind() -> None:
    """An unbound pipe passes nothing on, and nothing of it is left on either machine."""
    src, dst = pair()
    pipe = pipes.bind(src, dst, "A")
    pipe.unbind()
    pipe.unbind()
    assert not pipe.is_bound
    src.add("A")
    assert dst.active_states() == ()
    assert (src._handlers, src._on_dispose, dst._on_dispose) == ((), (), ())


def test_unbind_inside_a_handler_of_the_source() -> None:
    """It is silent at once, and its handlers leave when the queue has been drained."""
    src, dst = pair()
    pipe = pipes.add(src, dst, "B", "Y")

    class Source:
        def AState(self, e: Event) -> None:
            e.add("B")
            pipe.unbind()

    src.bind(Source())
    src.add("A")
    assert src.is_("B")
    assert dst.active_states() == ()
    assert len(src._handlers) == 1
    assert src._flags == 0


def test_unbind_while_something_is_on_its_way() -> None:
    """What the source has done already is dropped, and waits of the source go on."""

    async def main() -> None:
        src, dst = pair()
        pipe = pipes.add(src, dst, "A", "X")

        class Source:
            def AState(self, e: Event) -> None:
                pipe.unbind()

        src.bind(Source())
        wait = src.when("B")
        src.add("A")
        assert dst.active_states() == ()
        assert len(src._handlers) == 1
        src.add("B")
        await wait

    asyncio.run(main())


def test_unbind_after_the_handlers_were_unbound() -> None:
    """Whoever unbinds the handlers by their id may still end the pipe."""
    src, dst = pair()
    pipe = pipes.add(src, dst, "A", "X")
    assert repr(pipe) == f"<Pipe {pipe.id}>"
    src.unbind(pipe.id)
    pipe.unbind()
    assert repr(pipe) == f"<Pipe {pipe.id} unbound>"
    src.add("A")
    assert dst.active_states() == ()


def test_binding_inside_a_handler_of_the_source_is_refused() -> None:
    """Handlers cannot be bound there, pipes no more than others, and nothing half-made remains."""
    src, dst = pair()

    class Source:
        def AState(self, e: Event) -> None:
            pipes.add(src, dst, "B", "Y")

    src.bind(Source())
    src.add("A")
    assert isinstance(src.err, AsyncMachineError)
    assert dst._on_dispose == ()


def test_a_pipe_to_itself_and_a_circle() -> None:
    """A machine can follow itself, and two machines each other."""
    src, dst = pair()
    pipes.bind(src, src, "A", "B")
    src.add("A")
    assert src.is_("A", "B")
    pipes.bind(src, dst, "M", "M")
    pipes.bind(dst, src, "M", "ErrDisk")
    src.add("M")
    assert dst.is_("M")
    assert src.is_("ErrDisk")


def test_disposed_ends() -> None:
    """Binding to a disposed machine is an error; the end of either machine ends the pipe."""
    src, dst = pair()
    pipe = pipes.bind(src, dst, "A")
    dst.dispose()
    assert not pipe.is_bound
    assert src._handlers == ()
    assert src.add("A").executed
    for ends in ((src, dst), (dst, src)):
        with pytest.raises(MachineDisposedError, match="dst"):
            pipes.bind(*ends, "A")
    src, dst = pair()
    pipe = pipes.bind(src, dst, "A")
    src.dispose()
    assert not pipe.is_bound
    assert dst._on_dispose == ()


def test_the_end_of_the_target_inside_the_source() -> None:
    """A target that ends while the source is at work leaves nothing behind on the source."""
    src, dst = pair()

    class Target:
        def XState(self, e: Event) -> None:
            e.machine.dispose()

    dst.bind(Target())
    pipe = pipes.bind(src, dst, "A", "X")
    src.add("A")
    assert dst.is_disposed
    assert not pipe.is_bound
    assert (src._handlers, src._flags) == ((), 0)


def test_start_ends_before_the_pipe_does() -> None:
    """Disposing of the source removes Start first, and the target hears of it."""
    src, dst = Machine({"Start": {}}), Machine({"Up": {}})
    pipes.bind_start(src, dst, "Up")
    src.add("Start")
    src.dispose()
    assert dst.active_states() == ()


@pytest.mark.parametrize("ended", ["source", "target", "neither"])
def test_no_machine_is_kept_alive(ended: str) -> None:
    """Without a collection: a disposed machine is freed although the other end lives, and a dropped source too."""
    gc.collect()
    gc.disable()
    try:
        src, dst = pair()
        pipe = pipes.bind(src, dst, "A", "X")
        src.add("A")
        gone: weakref.ref[Machine]
        if ended == "target":
            dst.dispose()
            gone = weakref.ref(dst)
            del dst
            assert src._handlers == ()
        else:
            if ended == "source":
                src.dispose()
            gone = weakref.ref(src)
            del src
        assert gone() is None
        del pipe
        if ended != "target":
            assert dst._on_dispose == ()
    finally:
        gc.enable()


def test_a_source_that_is_gone_before_its_turn_at_the_end_of_the_target() -> None:
    """What runs first when the target is disposed may drop the source, and its pipe with it."""
    dst = Machine(TARGET, id="dst")
    sources = [Machine(SOURCE, id="src")]
    dst.on_dispose(sources.clear)
    pipes.bind(sources[0], dst, "A", "X")
    gone = weakref.ref(sources[0])
    dst.dispose()
    assert (gone(), dst.is_disposed) == (None, True)


def test_many_short_lived_sources_leave_no_trace() -> None:
    """A long-lived target remembers nothing of the machines it once followed."""
    dst = Machine(TARGET)
    for _ in range(50):
        src = Machine(SOURCE)
        pipes.bind(src, dst, "A", "X")
        src.add("A")
        src.dispose()
    assert dst._on_dispose == ()


def test_machines_with_the_same_pipes_share_their_plans() -> None:
    """A pipe costs no automaton of its own: the handlers are found by class and names."""
    dst = Machine(TARGET)
    sources = [Machine(SOURCE) for _ in range(3)]
    for src in sources:
        pipes.bind(src, dst, "A", "X")
    assert len({id(src._plans) for src in sources}) == 1
