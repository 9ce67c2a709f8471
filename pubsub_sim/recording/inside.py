"""The contents of the notebook "inside a run": the runs it opens, and tables of queries on a record."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from asyncmachine.record import Record, RecordError
from pubsub_sim.checks import check_whole
from pubsub_sim.drivers.versions import check_version
from pubsub_sim.errors import OptionError
from pubsub_sim.parameters import Parameters
from pubsub_sim.recording.decisions import compare_decisions
from pubsub_sim.recording.options import PlayOptions
from pubsub_sim.recording.playing import play_recorded
from pubsub_sim.recording.words import record_in_words

if TYPE_CHECKING:
    from types import TracebackType

VERSIONS = ("states", "baseline")
_ALIKE = ("scenario", "hosts", "messages", "router", "transport", "sign", "seed", "clock", "level")


@dataclass(frozen=True, kw_only=True)
class InsideOptions(Parameters):
    """The run to inspect: one played now on the virtual clock, or a record.

    Attributes:
        version: version of the control flow.
        beside: the run to compare with: another version, or the path of a record if `record` is given; "" is the other
            version, if there is a run of it.
        hosts: number of hosts; at least 2.
        messages: random messages, after the first; at least 1.
        seed: for keys, choices and the order of publishers.
        record: path of a record to inspect instead of playing.

    Raises:
        OptionError: an invalid value.
    """

    version: str = "states"
    beside: str = ""
    hosts: int = 3
    messages: int = 5
    seed: int = 1
    record: str = ""

    def __post_init__(self) -> None:
        check_version(self.version)
        check_whole("hosts", self.hosts, at_least=2)
        check_whole("messages", self.messages, at_least=1)
        check_whole("seed", self.seed, at_least=0)
        for name in ("record", "beside"):
            if not isinstance(getattr(self, name), str):
                raise OptionError(name, getattr(self, name), "the path of a record")
        if self.beside and not self.record:
            try:
                check_version(self.beside)
            except OptionError as error:
                raise OptionError("beside", self.beside, error.expected) from None


class Runs:
    """The inspected run, and one of another version if there is one. A context manager.

    Attributes:
        records: one or two records.
        titles: their versions.
    """

    def __init__(self, options: InsideOptions) -> None:
        self._closing = ExitStack()
        try:
            paths = self._recorded(options) if options.record else self._played(options)
            self.records = [self._opened(name, path) for name, path in paths]
        except BaseException:
            self._closing.close()
            raise
        self.titles = [str(record.run["attributes"].get("version", record.path.name)) for record in self.records]

    @property
    def record(self) -> Record:
        """The inspected record."""
        return self.records[0]

    @property
    def title(self) -> str:
        """Its title."""
        return self.titles[0]

    def first_flow(self) -> str:
        """Return the first published message.

        Raises:
            OptionError: the record has none.
        """
        for point in self.record.points():
            if point.flow:
                return point.flow
        raise OptionError("record", str(self.record.path), "a record of a run in which a message was published")

    def _played(self, options: InsideOptions) -> list[tuple[str, Path]]:
        folder = Path(self._closing.enter_context(tempfile.TemporaryDirectory()))
        beside = options.beside or next(version for version in VERSIONS if version != options.version)
        paths = []
        for name, version in (("version", options.version), ("beside", beside)):
            path = folder / name / f"{version}.sqlite"
            path.parent.mkdir()
            run = PlayOptions(
                version=version, hosts=options.hosts, messages=options.messages, seed=options.seed, clock="virtual"
            )
            played = play_recorded(run, path)
            if played.outcome != "ok":
                raise OptionError(name, version, f"a run that succeeds; {played.error}")
            paths.append((name, path))
        return paths

    def _recorded(self, options: InsideOptions) -> list[tuple[str, Path]]:
        path = Path(options.record).expanduser()
        if options.beside:
            return [("record", path), ("beside", Path(options.beside).expanduser())]
        own = self._opened("record", path).run["attributes"]
        for version in VERSIONS:
            other = path.absolute().parent.parent / version / path.name
            if version != own.get("version") and other.is_file():
                facts = self._opened("beside", other).run["attributes"]
                if all(facts.get(name) == own.get(name) for name in _ALIKE):
                    return [("record", path), ("beside", other)]
        return [("record", path)]

    def _opened(self, name: str, path: Path) -> Record:
        try:
            return self._closing.enter_context(Record.open(path))
        except RecordError as error:
            raise OptionError(name, str(path), f"a record; {error}") from None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        lines = [f"{title}: {record_in_words(record)}" for title, record in zip(self.titles, self.records, strict=True)]
        return {"text/plain": "\n".join(lines)}

    def close(self) -> None:
        """Close the records; a played one is deleted."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def deepest(record: Record) -> int:
    """Return the transition with the longest chain of causes; 0 if the record has no transitions."""
    depths: dict[int, int] = {}
    best = 0
    for transition in record.transitions():
        cause = None if transition.source is None else record.seq_of(transition.source)
        depths[transition.seq] = 1 + depths.get(cause or 0, 0)
        if depths[transition.seq] > depths.get(best, 0):
            best = transition.seq
    return best


def why(record: Record, seq: int) -> list[dict[str, str]]:
    """Return the chain of causes of a transition as rows of a table, itself first; none for number 0."""
    return [
        {
            "transition": record.tx_id(transition),
            "mutation": transition.change.label,
            "outcome": "executed" if transition.change.accepted else f"refused by {transition.change.refused_by}",
            "at": f"{transition.time_ns / 1e9:.3f} s",
        }
        for transition in (record.why(seq) if seq else ())
    ]


def refused(record: Record) -> list[dict[str, Any]]:
    """Return what refused which states and how often, as rows of a table, most frequent first."""
    called: dict[str, None] = {}
    for transition in record.transitions():
        if not transition.change.accepted:
            called.update(dict.fromkeys(transition.change.called))
    rows = [
        {
            "state": state,
            "refused by": found.text or found.by,
            "times": found.times,
            "machines": ", ".join(found.machines),
        }
        for state in called
        for found in record.blocked(state)
    ]
    return sorted(rows, key=lambda row: (-row["times"], row["state"]))


def decide_alike(runs: Runs) -> str:
    """Return as a sentence whether the hosts of both runs made the same decisions."""
    if len(runs.records) < 2:
        return "There is no record of another version beside this one."
    parting = compare_decisions(*runs.records)
    names = " and ".join(runs.titles)
    return f"The hosts of {names} decide the same, in the same order." if parting is None else f"{names}: {parting}."
