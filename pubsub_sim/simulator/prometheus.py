"""Metrics of a simulation for Prometheus, served during the run by the client library `prometheus-client`.

Events are counted by a tracer of the machines. The state of the network is sampled once per simulated second, and scrapes return
the latest sample: they run in another thread, which must not access the running network. Labels are kinds of machines (names of
their schemas), never ids, so that the number of series does not grow with the run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from asyncmachine import Tracer
from pubsub_sim.errors import NetworkError
from pubsub_sim.packages import explain_missing
from pubsub_sim.simulator.accounts import REASONS
from pubsub_sim.simulator.meters import figures, kind_of, mesh_degrees
from pubsub_sim.simulator.root import HEARTBEAT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from asyncmachine import Machine, Transition
    from asyncmachine.mutation import Mutation
    from pubsub_sim.simulator.simulation import Simulation

_FAST_S = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 0.1)
_DELIVERY_S = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_DEGREES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12)


class AddressInUseError(NetworkError):
    """An address at which metrics cannot be served.

    Attributes:
        address: host and port.
        reason: the system's error message.
    """

    def __init__(self, address: tuple[str, int], reason: str) -> None:
        super().__init__(f"metrics cannot be served at {address[0]}:{address[1]}: {reason}")
        self.address = address
        self.reason = reason


class MachineMetrics(Tracer):
    """Counters and timers of machines.

    Args:
        registry: the registry of the metrics.
    """

    def __init__(self, registry: Any) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        def make(cls: Any, name: str, text: str, labels: tuple[str, ...], **more: Any) -> Any:
            return cls(f"asyncmachine_{name}", text, labels, registry=registry, **more)

        kind = ("kind",)
        self._transitions = make(
            Counter, "transitions", "Transitions, including refused ones.", ("kind", "mutation", "result", "auto")
        )
        self._seconds = make(Histogram, "transition_seconds", "Duration of transitions.", kind, buckets=_FAST_S)
        self._handlers = make(
            Histogram, "handler_seconds", "Duration of handlers.", ("kind", "handler"), buckets=_FAST_S
        )
        self._waits = make(Histogram, "queue_wait_seconds", "Waiting time of queued mutations.", kind, buckets=_FAST_S)
        self._queue = make(Gauge, "queue_length", "Queued mutations.", kind)
        self._active = make(Gauge, "state_active", "Machines in which a state is active.", ("kind", "state"))
        self._activations = make(Counter, "state_activations", "Activations of states.", ("kind", "state"))
        self._errors = make(Counter, "exceptions", "Errors of machines.", ("kind", "error"))
        self._states = make(Gauge, "states", "States of a schema.", kind)
        self._relations = make(Gauge, "relations", "Relations of a schema.", kind)
        self._kinds: dict[str, str] = {}
        self._begun_s: dict[str, float] = {}
        self._handler_s: dict[str, float] = {}
        self._queued_s: dict[tuple[str, int], float] = {}

    def machine_init(self, machine: Machine) -> None:
        self._meet(machine)

    def machine_bound(self, machine: Machine) -> None:
        self._meet(machine)

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        machine.bind_tracer(self)

    def machine_dispose(self, machine: Machine) -> None:
        kind = self._kinds.pop(machine.id)
        for state in machine.active_states():
            self._active.labels(kind, state).dec()
        for key in [key for key in self._queued_s if key[0] == machine.id]:
            del self._queued_s[key]
            self._queue.labels(kind).dec()

    def mutation_queued(self, machine: Machine, mutation: Mutation) -> None:
        kind = self._kinds.get(machine.id)
        if kind is not None and mutation.queue_tick:
            self._queued_s[machine.id, mutation.queue_tick] = time.perf_counter()
            self._queue.labels(kind).inc()

    def transition_init(self, tx: Transition) -> None:
        kind = self._kinds.get(tx.machine.id)
        if kind is None:
            return
        now_s = self._begun_s[tx.machine.id] = time.perf_counter()
        queued_s = self._queued_s.pop((tx.machine.id, tx.mutation.queue_tick), None)
        if queued_s is not None:
            self._queue.labels(kind).dec()
            self._waits.labels(kind).observe(now_s - queued_s)

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:
        self._handler_s[tx.machine.id] = time.perf_counter()

    def handler_end(self, tx: Transition, binding: str, name: str) -> None:
        kind, begun_s = self._kinds.get(tx.machine.id), self._handler_s.pop(tx.machine.id, None)
        if kind is not None and begun_s is not None:
            self._handlers.labels(kind, name).observe(time.perf_counter() - begun_s)

    def transition_end(self, tx: Transition) -> None:
        kind, mutation = self._kinds.get(tx.machine.id), tx.mutation
        if kind is None:
            return
        begun_s = self._begun_s.pop(tx.machine.id, None)
        if begun_s is not None:
            self._seconds.labels(kind).observe(time.perf_counter() - begun_s)
        result = "accepted" if tx.accepted else "canceled"
        self._transitions.labels(kind, mutation.kind, result, "true" if mutation.is_auto else "false").inc()
        for state, before, after in zip(tx.machine.schema.names, tx.before, tx.after, strict=True):
            if before != after:
                self._active.labels(kind, state).inc(after % 2 - before % 2)
                self._activations.labels(kind, state).inc((after + 1) // 2 - (before + 1) // 2)
        error = mutation.args.get("error")
        if isinstance(error, BaseException):
            self._errors.labels(kind, type(error).__name__).inc()

    def _meet(self, machine: Machine) -> None:
        kind = self._kinds[machine.id] = kind_of(machine)
        schema: Any = machine.schema  # a schema class: `type` has no `to_dict`
        states = schema.to_dict()
        self._states.labels(kind).set(len(machine.schema.names))
        self._relations.labels(kind).set(
            sum(len(state.get(name, ())) for state in states.values() for name in ("require", "add", "remove", "after"))
        )
        self._transitions.labels(kind, "add", "accepted", "false")  # creates the series with value 0
        self._errors.labels(kind, "none")
        for state in machine.active_states():
            self._active.labels(kind, state).inc()


class _Snapshot:
    """The latest sample of the network's figures; a collector of the registry."""

    def __init__(self) -> None:
        self.gauges: dict[str, float] = {}
        self.counters: dict[str, float] = {}
        self.missed: dict[str, float] = dict.fromkeys(REASONS, 0)
        self.degrees: tuple[int, ...] = ()

    def collect(self) -> Any:
        """Return the metrics of the latest sample."""
        from prometheus_client.core import CounterMetricFamily, GaugeHistogramMetricFamily, GaugeMetricFamily

        for name, value in self.gauges.items():
            yield GaugeMetricFamily(f"pubsub_sim_{name}", _TEXTS[name], value)
        for name, value in self.counters.items():
            yield CounterMetricFamily(f"pubsub_sim_{name}", _TEXTS[name], value)
        missed = CounterMetricFamily("pubsub_sim_messages_missed", _TEXTS["missed"], labels=("reason",))
        for reason, value in self.missed.items():
            missed.add_metric([reason], value)
        yield missed
        degrees = self.degrees
        buckets = [(str(limit), float(sum(d <= limit for d in degrees))) for limit in _DEGREES]
        yield GaugeHistogramMetricFamily(
            "pubsub_sim_mesh_degree",
            _TEXTS["mesh"],
            buckets=[*buckets, ("+Inf", float(len(degrees)))],
            gsum_value=float(sum(degrees)),
        )


_TEXTS = {
    "peers": "Peers.",
    "peers_ready": "Peers that can join and send.",
    "peers_with_topics": "Ready peers in at least one topic.",
    "topics": "Topics.",
    "peers_per_topic": "Mean number of ready peers in a topic.",
    "connections": "Connections, each counted once.",
    "friendships": "Pairs of friends.",
    "mesh_degree_mean": "Mean number of peers in a mesh.",
    "topics_stale": "Topics in state Stale.",
    "topics_has_peers": "Topics in state HasPeers.",
    "topics_active": "Topics in state Active.",
    "topics_peaking": "Topics in state Peaking.",
    "messages_sent": "Messages accepted by nodes from their own peers.",
    "messages_owed": "Owed deliveries.",
    "messages_delivered": "Owed deliveries in time, of settled messages.",
    "message_copies": "Copies of messages received by nodes.",
    "missed": "Missed owed deliveries, by reason.",
    "mesh": "Peers in each mesh of each peer.",
}


class Exporter:
    """A context manager that serves the metrics of one simulation.

    Args:
        address: host and port; port 0 selects a free one.
        lost_rows: returns the number of lost rows of the record.

    Attributes:
        tracer: the tracer to bind to the machines.
        registry: all metrics.
        port: the port, once entered.

    Raises:
        MissingPackageError: prometheus-client is not installed.
    """

    def __init__(self, address: tuple[str, int], lost_rows: Callable[[], int] = lambda: 0) -> None:
        with explain_missing("--prometheus"):
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self.tracer = MachineMetrics(self.registry)
        self.port = 0
        self._address = address
        self._snapshot = _Snapshot()
        self.registry.register(self._snapshot)
        self._latency = Histogram(
            "pubsub_sim_delivery_latency_seconds",
            "From the sender's node to the reader's.",
            buckets=_DELIVERY_S,
            registry=self.registry,
        )
        self._lag = Gauge("asyncmachine_loop_lag_seconds", "Delay of the last heartbeat.", registry=self.registry)
        self._lost = Counter(
            "asyncmachine_dropped_rows", "Rows that the recorder could not write.", registry=self.registry
        )
        self._lost_rows = lost_rows
        self._told_lost = 0
        self._server: Any = None
        self._thread: Any = None

    def __enter__(self) -> Self:
        from prometheus_client import start_http_server

        host, port = self._address
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise AddressInUseError(self._address, error.strerror or str(error)) from error
        self.port = self._server.server_port
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, sim: Simulation) -> None:
        """Sample the current figures, which are served until the next sample."""
        snapshot, ledger = self._snapshot, sim.ledger
        found = figures(sim)
        found["mesh_degree_mean"] = found.pop("mesh_degree")
        del found["mesh_degree_max"]
        snapshot.gauges = {name: float(value) for name, value in found.items()}
        snapshot.counters = {
            "messages_sent": ledger.sent,
            "messages_owed": ledger.owed,
            "messages_delivered": ledger.delivered,
            "message_copies": ledger.copies,
        }
        snapshot.missed = {reason: float(ledger.missed[reason]) for reason in REASONS}
        snapshot.degrees = tuple(mesh_degrees(sim))
        ledger.on_delivery = self._observe
        self._lag.set(sim.elapsed_s % HEARTBEAT_S)
        lost = self._lost_rows()
        self._lost.inc(lost - self._told_lost)
        self._told_lost = lost

    def _observe(self, latency_ns: int) -> None:
        self._latency.observe(latency_ns / 1e9)
