"""A recorder bound to a world: the spans psmon > testcase > phases and host:<n> > pubsub > topic > topic:<T>, and their points.

State machines of a version are recorded below their host's span; for a version without machines, the operations of its loop
are recorded as points if it supports tracing. A recorder has no influence on the run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asyncmachine import LogLevel, Machine, Tracer
from asyncmachine.logs import args_mapper
from pubsub_sim.drivers.versions import driver_factory, driver_tracer, is_traceable, machines_of
from pubsub_sim.ids import to_base58
from pubsub_sim.recording.hosts import HostRecorder
from pubsub_sim.world.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from asyncmachine.record import Recorder
    from asyncmachine.record.format import Level
    from pubsub_sim.node.driver import Driver, HostContext

BEFORE = ""
"""Name of the phase before the first and after the last."""

_TOLD = ("source", "topic")  # arguments that the reference logs


class WorldRecorder:
    """The recorder of consecutive worlds in one record.

    Args:
        recorder: the recorder of machines.
        level: its level.
        testcase: name of the scenario, for the record.
        live: another tracer of all machines, such as a stream to a debugger; or None.
        log: whether the machines write log lines to be recorded.

    Attributes:
        level: the recording level.
        numbers: the hosts' numbers by peer id.
        topics: the topics of the messages published last, by message id.
        happened: numbers of events by phase and name, independent of the level.
    """

    def __init__(
        self, recorder: Recorder, level: Level, testcase: str = "", live: Tracer | None = None, *, log: bool = False
    ) -> None:
        self.level = level
        self.numbers: Mapping[bytes, int] = {}
        self.topics: dict[bytes, str] = {}
        self.happened: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._recorder = recorder
        self._tracers: tuple[Tracer, ...] = (_SetUp(log=log), *(() if live is None else (live,)))
        self._root = recorder.span("psmon")
        self._testcase = self._root.span("testcase", scenario=testcase)
        self._phase = BEFORE
        self._hosts: dict[int, HostRecorder] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Open a span below the test case; errors raised inside are recorded in it."""
        self._phase = name
        _ = self.happened[name]  # include phases without events
        span = self._testcase.span(name)
        try:
            yield
        except BaseException as error:
            span.end(error=f"{type(error).__name__}: {error}")
            raise
        else:
            span.end()
        finally:
            self._phase = BEFORE

    def make_world(self, hosts: int, **arguments: Any) -> World:
        """Create a `World` and record it.

        Args:
            hosts: number of hosts.
            arguments: arguments of `World`, except `watch`.
        """
        version = arguments.get("version", "baseline")
        make = arguments.pop("make_driver", None) or driver_factory(version)
        world = World(hosts, **arguments, make_driver=self._recorded(version, make), watch=self._watch)
        self.numbers = {peer: number for number, peer in enumerate(world.peer_ids)}
        return world

    def close(self, outcome: str, error: str = "") -> None:
        """End all spans.

        Args:
            outcome: "ok", "failed" or "interrupted".
            error: the error, as a sentence.
        """
        for host in self._hosts.values():
            host.end()
        ending = {"outcome": outcome} | ({"error": error} if error else {})
        self._testcase.end(**ending)
        self._root.end(**ending)

    def count(self, name: str) -> None:
        """Count an event in the current phase."""
        self.happened[self._phase][name] += 1

    def passed_on(self, number: int, message_id: bytes) -> int | None:
        """Return the point at which a host passed a message on; None if unknown."""
        host = self._hosts.get(number)
        return None if host is None else host.passed_on(message_id)

    def _watch(self, number: int) -> HostRecorder:
        """Return the recorder of a new life of a host."""
        former = self._hosts.get(number)
        if former is not None:
            former.end()
        peer_id = next(peer for peer, host in self.numbers.items() if host == number)
        span = self._root.span(f"host:{number}", host=number, host_id=to_base58(peer_id))
        self._hosts[number] = HostRecorder(self, span)
        return self._hosts[number]

    def _recorded(self, version: str, make: Callable[[HostContext], Driver]) -> Callable[[HostContext], Driver]:
        machines_in = machines_of(version)
        trace = driver_tracer(version) if self.level != "changes" and is_traceable(version) else None

        def make_recorded(context: HostContext) -> Driver:
            driver = make(context)
            host = self._hosts[context.number]
            host.message_id_of = context.core.message_ids.of
            machines = machines_in(driver)
            for machine in machines:
                for tracer in self._tracers:
                    machine.bind_tracer(tracer)
                self._recorder.bind(machine, span=host.span if machine.parent is None else None)
            if not machines and trace is not None:
                trace(driver, host.operation)
            return driver

        return make_recorded


class _SetUp(Tracer):
    """Configures the logging of machines, including flow machines: the reference's arguments and, on request, log lines."""

    def __init__(self, *, log: bool) -> None:
        self._level = LogLevel.OPS if log else LogLevel.NOTHING
        self._log_args = args_mapper(_TOLD)

    def machine_bound(self, machine: Machine) -> None:
        machine.log_args = self._log_args
        if self._level:
            machine.log_level = self._level

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        machine.bind_tracer(self)
