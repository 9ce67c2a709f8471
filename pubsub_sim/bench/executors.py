"""Making the runs: in this process, pair after pair, or on the machines of a Dask cluster, one pair at a time on each."""

from __future__ import annotations

import fcntl
import importlib
import os
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pubsub_sim.bench.grid import limit_of, specification
from pubsub_sim.bench.machine import measuring
from pubsub_sim.bench.process import pinned_environment, run_interleaved, run_worker
from pubsub_sim.bench.provenance import PACKAGES, of_the_moment, of_the_sweep
from pubsub_sim.bench.sessions import LAYOUT, Layout, list_modules
from pubsub_sim.bench.spec import COMPARED, TIMED, WHOLE
from pubsub_sim.bench.watch import METRICS, Gate, Watch
from pubsub_sim.errors import OptionError
from pubsub_sim.packages import explain_missing
from pubsub_sim.places import packages_folder
from pubsub_sim.results import PAIR, RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pubsub_sim.bench.options import SweepOptions
    from pubsub_sim.bench.watch import Look
    from pubsub_sim.results import RunParameters

Task = list[tuple["RunParameters", int]]
"""The runs of one pair with their positions in the sweep: they are made side by side, on one machine."""

RESOURCE = "run"
"""What a Dask worker must have one of: a worker makes one pair at a time, of which one run goes on at a time."""


class Made(NamedTuple):
    """A run that was made.

    Attributes:
        record: what is stored of it.
        log: what it logged, for who watches the sweep; stored nowhere.
        look: what the machine did meanwhile, None where the kernel does not tell.
    """

    record: RunRecord
    log: str
    look: Look | None


class Executor(Protocol):
    """Makes runs."""

    @property
    def grounds(self) -> Sequence[Mapping[str, Any]]:
        """Facts of code and machine that a stored run may come from to stand for a new one."""

    def make(self, tasks: Sequence[Task], tell: Callable[[str], None]) -> Iterator[list[Made]]:
        """Make runs, and give those of a pair as soon as all of them are known.

        Args:
            tasks: the pairs.
            tell: shown what is to be known meanwhile: that the machine is not quiet.

        Raises:
            NoisyMachineError: it is not, and the sweep is to stop then.
        """


@contextmanager
def executor(options: SweepOptions) -> Iterator[Executor]:
    """Give the executor that a sweep asks for, and end it afterwards; meanwhile nothing else is measured here.

    Raises:
        BusyMachineError: something else is measured here.
        MissingPackageError: Dask is not installed.
        OptionError: its workers do not have the resource.
    """
    is_elsewhere = options.executor == "dask" and options.scheduler != ""
    with measuring(f"the sweep {options.out}", share=options.share or is_elsewhere):
        if options.executor == "serial":
            yield _Serial(options)
            return
        with cluster(options.scheduler, options.dask_workers, {RESOURCE: 1}) as client:
            if options.scheduler:
                _check_resources(client, options.scheduler)
            yield _Dask(options, client)


def make_pair(
    options: SweepOptions, task: Task, facts: Mapping[str, Any], modules: Mapping[str, Sequence[str]]
) -> Iterator[Made]:
    """Make the runs of one pair here: interleaved where possible, by themselves those of programs and instrumented runs.

    Args:
        options: the sweep.
        task: the runs.
        facts: of code and machine, for their records.
        modules: version to the modules that its worker imports before its run, in the order of the session.
    """
    layout = Layout.draw(options.seed, task[0][0].session)
    drawn = layout.environment()
    environment = pinned_environment(options.allocator) | drawn
    told = {name: value for name, value in environment.items() if name not in drawn}
    common = {**facts, "environment": told, LAYOUT: layout.facts(), PAIR: secrets.token_hex(8)}
    for together in divide(options, task):
        moment = of_the_moment()
        limits_s = [limit_of(options, run) for run, _ in together]
        watch = Watch()
        orders = [layout.order(modules.get(run.version, ())) for run, _ in together]
        if len(together) > 1:
            runs = [(specification(run), limit_s) for (run, _), limit_s in zip(together, limits_s, strict=True)]
            answers = run_interleaved(runs, environment=environment, imports=orders)
        else:
            ((run, _),) = together
            answers = [
                run_worker(
                    specification(run),
                    environment=environment,
                    limit_s=limits_s[0],
                    command=options.commands.get(run.version),
                    imports=orders[0],
                )
            ]
        look = watch.look()
        seen = look.rows() if look is not None else ()
        for (run, order), limit_s, answer in zip(together, limits_s, answers, strict=True):
            record = RunRecord(
                parameters=run,
                outcome=answer.outcome,
                error=answer.error,
                order=order,
                limit_s=limit_s,
                rows=(*(row for row in answer.rows if row.metric not in METRICS), *seen),
                provenance=common | moment,
                version=answer.version,
            )
            yield Made(record, "" if answer.outcome == "ok" else answer.log, look)


def list_imports(options: SweepOptions) -> Mapping[str, Sequence[str]]:
    """List what the workers of each version of a sweep import before their run."""
    ours = [name for name in (*options.versions, *options.comparators) if name not in options.commands]
    return list_modules(packages_folder(), PACKAGES, ours)


def divide(options: SweepOptions, task: Task) -> list[Task]:
    """Divide the runs of a pair into those that are made together, in the order of the first of each.

    Programs of others have no turns to take, so they are made alone, and so are the versions over libp2p that stand beside them.
    """

    def is_alone(run: RunParameters) -> bool:
        beside_programs = run.kind == COMPARED and run.transport == "libp2p"
        return run.kind not in TIMED or run.kind == WHOLE or run.version in options.commands or beside_programs

    together = [one for one in task if not is_alone(one[0])]
    groups = [[one] for one in task if one not in together] + ([together] if together else [])
    return sorted(groups, key=lambda group: group[0][1])


class _Serial:
    def __init__(self, options: SweepOptions) -> None:
        self._options = options
        self._facts = of_the_sweep()
        self._modules = list_imports(options)

    @property
    def grounds(self) -> Sequence[Mapping[str, Any]]:
        return [self._facts]

    def make(self, tasks: Sequence[Task], tell: Callable[[str], None]) -> Iterator[list[Made]]:
        gate = Gate(self._options.quiet_only, tell)
        if tasks:
            gate.open()
        for task in tasks:
            pair = list(make_pair(self._options, task, self._facts, self._modules))
            yield pair
            gate.after(pair[-1].look)


class _Dask:
    """Pairs go to workers whole; what a dying worker had is given to another one.

    Each worker looks at its own machine, and waits or stops by itself; nothing is told meanwhile.
    """

    def __init__(self, options: SweepOptions, client: Any) -> None:
        self._options = options
        self._client = client

    @property
    def grounds(self) -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = list(self._client.run(of_the_sweep).values())
        return found

    def make(self, tasks: Sequence[Task], tell: Callable[[str], None]) -> Iterator[list[Made]]:
        modules = list_imports(self._options)
        futures = [
            self._client.submit(
                _make_pair_alone, self._options, task, modules, pure=False, resources={RESOURCE: 1}, priority=-number
            )
            for number, task in enumerate(tasks)
        ]
        for future in distributed().as_completed(futures):
            yield future.result()


def _make_pair_alone(options: SweepOptions, task: Task, modules: Mapping[str, Sequence[str]]) -> list[Made]:
    """Make a pair's runs on a worker while no other worker of this machine makes any."""
    is_guest = options.scheduler != ""  # else the process that started this worker has the machine
    with (
        _only_one_on_this_machine(),
        measuring(f"a pair of {options.out}", share=options.share or not is_guest, wait=True),
    ):
        if options.quiet_only != "no":
            Gate(options.quiet_only, lambda _: None).open()
        return list(make_pair(options, task, of_the_sweep(), modules))


@contextmanager
def _only_one_on_this_machine() -> Iterator[None]:
    """Hold a lock that ends with the process, however that happens.

    It is not the one of `machine.measuring`, which the process that started these workers holds.
    """
    path = Path(tempfile.gettempdir()) / f"pubsub_sim-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def cluster(scheduler: str, workers: int, resources: Mapping[str, float] | None = None) -> Iterator[Any]:
    """Give a client of a Dask cluster.

    Args:
        scheduler: its address; "" starts workers here, which end with it.
        workers: how many are started here, a process each.
        resources: what each of these has.

    Raises:
        MissingPackageError: Dask is not installed.
    """
    dask = distributed()
    if scheduler:
        with dask.Client(scheduler) as client:
            yield client
        return
    with (
        dask.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            resources=resources,
            dashboard_address=None,
        ) as local,
        dask.Client(local) as client,
    ):
        yield client


def distributed() -> Any:
    """Import Dask's scheduler; raises MissingPackageError."""
    with explain_missing("executor 'dask'"):
        return importlib.import_module("distributed")


def _check_resources(client: Any, address: str) -> None:
    """Refuse a cluster on which the runs would wait for ever."""
    resources = client.run_on_scheduler(_resources)
    if not resources or not all(own.get(RESOURCE) for own in resources):
        raise OptionError("scheduler", address, f"workers that were started with --resources {RESOURCE}=1")


def _resources(dask_scheduler: Any) -> list[dict[str, float]]:
    """Give what each worker of a scheduler has; runs there."""
    return [dict(worker.resources) for worker in dask_scheduler.workers.values()]
