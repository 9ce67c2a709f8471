"""The command `simsub`: compares gossipsub meshes of this simulator with the published runs of gerbil-simsub, over many seeds.

Every run has a process of its own (`simsub_run`). Runs do not wait for each other: as many go on at once as the machine has cores, or the workers of a Dask cluster take. With
`out` each is stored as soon as it is there, and one that is stored is not made again as long as the code is the same.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.options import sweep_folder
from pubsub_sim.bench.pool import begin_work
from pubsub_sim.bench.provenance import of_the_moment, of_the_sweep
from pubsub_sim.bench.simsub_run import Cost, measured
from pubsub_sim.checks import check_choice, check_whole
from pubsub_sim.errors import OptionConflict, ScenarioFailure
from pubsub_sim.flags import from_flags
from pubsub_sim.packages import explain_missing
from pubsub_sim.parameters import several
from pubsub_sim.results import ResultsError
from pubsub_sim.results.meshes import (
    BUCKETS,
    MeshRun,
    compare,
    mesh_path,
    published,
    published_messages,
    read_mesh,
    write_mesh,
)
from pubsub_sim.scenarios.simsub import KINDS, Simsub, Spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EXECUTORS = ("pool", "dask")
_MESSAGES = 60  # where nothing was published

_HEADINGS = ("", "sent", *(kind.upper() for kind in KINDS[1:]), "copies", "<100 ms", "<200", "<300", "<400", "later")
_OWN_HEADINGS = ("lost", "p50 ms", "p99 ms", "CPU s", "MiB")
_COUNT_WIDTH, _WIDTH = 10, 7


@dataclass(frozen=True, kw_only=True)
class SimsubOptions:
    """Which runs are made. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: which control flows.
        hosts: how many hosts, more than 5; several numbers are played one after the other.
        messages: messages in total; 0 is as many as were published for so many hosts, or 60.
        seed: the seed to count from.
        seeds: how many seeds.
        out: folder of a sweep in which the runs are stored, below its `meshes`; "" stores nothing.
        executor: "pool": processes of this machine; "dask": the workers of a cluster.
        workers: how many processes at once; 0 is one per core.
        scheduler: address of a Dask cluster.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
        OptionConflict: an executor without a cluster, or a cluster without its executor.
    """

    versions: tuple[str, ...] = ("baseline", "states")
    hosts: tuple[int, ...] = (1000,)
    messages: int = 0
    seed: int = 1
    seeds: int = 1
    out: str = ""
    executor: str = "pool"
    workers: int = 0
    scheduler: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", several("versions", self.versions))
        object.__setattr__(self, "hosts", several("hosts", self.hosts))
        check_whole("messages", self.messages, at_least=0)
        check_whole("seed", self.seed, at_least=0)
        check_whole("seeds", self.seeds, at_least=1)
        check_whole("workers", self.workers, at_least=0)
        check_choice("executor", self.executor, EXECUTORS)
        if (self.executor == "dask") != (self.scheduler != ""):
            raise OptionConflict(
                "scheduler", self.scheduler, "executor", self.executor, "a cluster is for 'dask', and has an address"
            )
        for one in self.runs:  # each is checked as it is made
            assert one.messages

    @property
    def folder(self) -> Path | None:
        """Where runs are stored."""
        return sweep_folder("out", self.out) if self.out else None

    @property
    def runs(self) -> list[Simsub]:
        """The runs, by number of hosts and seed by seed."""
        return [
            Simsub(version=version, hosts=hosts, messages=self.messages_of(hosts), seed=seed)
            for hosts in self.hosts
            for seed in range(self.seed, self.seed + self.seeds)
            for version in self.versions
        ]

    def messages_of(self, hosts: int) -> int:
        """Messages of a run of so many hosts."""
        return self.messages or published_messages(hosts) or _MESSAGES


def mesh_run(options: Simsub, spread: Spread, cost: Cost) -> MeshRun:
    """What is stored of a run."""
    counts = [*spread.buckets, *([0] * 4)]
    return MeshRun(
        version=options.version,
        hosts=options.hosts,
        messages=options.messages,
        seed=options.seed,
        links=spread.links,
        sent=spread.sent["messages"],
        **{kind: spread.sent[kind] for kind in KINDS[1:]},
        rpcs=spread.rpcs,
        dropped=spread.dropped,
        deliveries=spread.deliveries,
        undelivered=spread.undelivered,
        members_at_begin=spread.members[0],
        members_at_end=spread.members[1],
        **dict(zip(BUCKETS, (*counts[:4], sum(counts[4:])), strict=True)),
        p50_ns=round(spread.quantile_ms(0.5) * 1e6),
        p99_ns=round(spread.quantile_ms(0.99) * 1e6),
        cpu_ns=sum(cost.cpu_ns.values()),
        peak_rss_bytes=cost.peak_rss_bytes,
    )


def simsub_command(arguments: Sequence[str]) -> int:
    """Make runs, or take those that are stored, and print each beside the published one, then the verdicts over the seeds.

    Returns:
        0, or 1 if a message was not delivered everywhere.

    Raises:
        OptionError: a flag or a value that cannot be used.
        ResultsError: the runs cannot be stored.
    """
    summary = "Play the set-up of simsub and print what came of it beside what was published."
    options: SimsubOptions = from_flags(SimsubOptions, "simsub", summary, arguments)
    cell: tuple[int, int] | None = None
    done: list[MeshRun] = []
    for one in made(options):
        if (one.hosts, one.messages) != cell:
            print_table(("" if cell is None else "\n") + _title(one))
            cell = one.hosts, one.messages
        print_table(_run_line(one))
        done.append(one)
    for verdicts in _verdicts(options, done):
        print_table("\n" + verdicts)
    return int(any(one.undelivered for one in done))


def made(options: SimsubOptions) -> Iterator[MeshRun]:
    """Give the runs in the order of the options, each as soon as it and those before it are there."""
    folder, facts = options.folder, of_the_sweep()
    stored = {one: None if folder is None else _stored(folder, one, facts) for one in options.runs}
    missing = iter(_executed(options, [one for one in options.runs if stored[one] is None]))
    for one in options.runs:
        found = stored[one]
        if found is None:
            found = next(missing)
            if folder is not None:
                write_mesh(folder, found, facts | of_the_moment())
        yield found


def print_table(line: str) -> None:
    """Write a line to stdout at once, as runs take a while each."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _stored(folder: Path, one: Simsub, facts: Mapping[str, Any]) -> MeshRun | None:
    """A run that is stored, if it is whole and was made by this code."""
    path = mesh_path(folder, one.version, one.hosts, one.messages, one.seed)
    if not path.exists():
        return None
    try:
        found, provenance = read_mesh(path)
    except ResultsError:
        return None  # made anew, and replaced
    return found if provenance.get("sources") == facts["sources"] else None


def _executed(options: SimsubOptions, runs: Sequence[Simsub]) -> Iterator[MeshRun]:
    """Make runs side by side, each in a fresh process; gives them in order."""
    if options.executor == "dask" and runs:
        with explain_missing("executor 'dask' (the other one is 'pool')"):
            dask = importlib.import_module("distributed")
        with dask.Client(options.scheduler) as client:
            for future in [client.submit(_in_a_fresh_process, one, pure=False) for one in runs]:
                yield future.result()
    elif runs:
        workers = min(options.workers or os.cpu_count() or 1, len(runs))
        with multiprocessing.get_context("spawn").Pool(workers, begin_work, maxtasksperchild=1) as pool:
            for one, (spread, cost) in zip(runs, pool.imap(measured, runs), strict=True):
                yield mesh_run(one, spread, cost)


def _in_a_fresh_process(options: Simsub) -> MeshRun:
    """Make a run by the command in a process of its own: workers of Dask are daemons, which have no pools."""
    words = (
        ("versions", options.version),
        ("hosts", options.hosts),
        ("messages", options.messages),
        ("seed", options.seed),
    )
    with tempfile.TemporaryDirectory() as place:
        flags = [f"--{name}={value}" for name, value in (*words, ("out", place))]
        done = subprocess.run([sys.executable, "-m", "pubsub_sim", "simsub", *flags], capture_output=True, check=False)
        path = mesh_path(Path(place), options.version, options.hosts, options.messages, options.seed)
        if not path.exists():
            raise ScenarioFailure("simsub", done.stderr.decode(errors="replace").strip()[-500:])
        return read_mesh(path)[0]


def _title(one: MeshRun) -> str:
    title = f"{one.messages} messages among {one.hosts:,} hosts; virtual clock, nothing signed\n"
    return "\n".join((title, _line(_HEADINGS + _OWN_HEADINGS), _published_line(one.hosts, one.messages)))


def _published_line(hosts: int, messages: int) -> str:
    figures = published(hosts, messages)
    if figures is None:
        return f"{'published':<18}nothing for so many hosts and messages"
    counts = [f"{figures[name]:,.0f}" for name in ("sent", *KINDS[1:])]
    copies = figures["sent"] / (hosts * messages)
    shares = [f"{figures[f'{name}_percent']:.1f}" for name in BUCKETS[:4]]
    return _line(("published", *counts, f"{copies:.2f}", *shares, "0.0"))


def _run_line(one: MeshRun) -> str:
    counts = [f"{one.sent:,}", *(f"{getattr(one, kind):,}" for kind in KINDS[1:])]
    shares = [f"{one.share(name):.1f}" for name in BUCKETS]
    quantiles = [f"{value / 1e6:.0f}" for value in (one.p50_ns, one.p99_ns)]
    costs = [f"{one.cpu_ns / 1e9:.1f}", f"{one.peak_rss_bytes / 2**20:,.0f}"]
    name = f"{one.version}, seed {one.seed}"
    return _line((name, *counts, f"{one.copies:.2f}", *shares, f"{one.undelivered:,}", *quantiles, *costs))


def _verdicts(options: SimsubOptions, runs: Sequence[MeshRun]) -> Iterator[str]:
    """Of each number of hosts with several seeds and a published run: each figure, ours, and whether it is inside."""
    for hosts in options.hosts if options.seeds > 1 else ():
        found = compare([one for one in runs if one.hosts == hosts and one.version == options.versions[0]])
        if found:
            lines = [f"{hosts:,} hosts, {options.versions[0]}: published beside ours over {options.seeds} seeds"]
            lines += [
                f"{one.title:<28}{one.published:>12,.2f}{one.mean:>12,.2f}  [{one.low:,.2f}, {one.high:,.2f}]  {one.verdict}"
                for one in found
            ]
            yield "\n".join([*lines, f"a further seed is inside with {found[0].tolerance:.0%}"])


def _line(cells: Sequence[str]) -> str:
    name, counts, rest = cells[0], cells[1:4], cells[4:]
    return (
        f"{name:<18}" + "".join(f" {c:>{_COUNT_WIDTH}}" for c in counts) + "".join(f" {c:>{_WIDTH}}" for c in rest)
    ).rstrip()
