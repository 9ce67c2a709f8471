"""The record of one run: its parameters, its outcome and its rows of raw integers, independent of the file format."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.results.metrics import METRICS, RUN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUTCOMES = ("ok", "failed", "timeout", "crashed")
"""Outcomes of a run: success, a wrong result or an exception, the time limit, a signal."""

PAIR = "pair"
"""Fact in a run's provenance: the identifier of the pair of runs that were measured together."""

NAME = "a name of at most 64 letters, digits and . + - _, a letter first"
"""Valid names of versions and programs, which are used in file names."""

_STORED_AS = {"lower-bound": "floor"}
_VERSIONS = {name: version for version, name in _STORED_AS.items()}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.+_-]{0,63}")
_INT64 = range(-(2**63), 2**63)


class Row(NamedTuple):
    """One number of a phase, or of the whole run (phase "run")."""

    phase: str
    metric: str
    value: int


@dataclass(frozen=True, kw_only=True)
class RunParameters:
    """The parameters that identify a run. Each field is a column of every stored row.

    Attributes:
        version: the measured version.
        hosts: number of hosts.
        messages: number of random messages in total.
        repeat: number of the repetition, from 1; of timed runs in their session, of the others in the sweep.
        router: routing protocol.
        transport: "memory", "tcp" or "libp2p".
        loop: event loop, "uvloop" or "asyncio".
        sign: "strict" or "none".
        seed: seed of the run; equal for all versions of a pair.
        barrier: whether all hosts were connected before the first message.
        warmup: whether a small run of the same version came first in the same process.
        allocator: "pinned" if glibc's malloc thresholds were fixed by the worker's environment, else "default".
        kind: "timing"; "control" for the second run of the first version in a pair; "whole" for runs without time slices;
            "memory", "calls" and "lag" for runs that an instrument slows down; "field" for runs beside lower bounds and
            other implementations.
        session: number of the session that the run belongs to, from 1: the runs of a session share a hash seed, an order
            of imports and a size of the environment.

    Raises:
        OptionError: the version is not a valid name for file names.
    """

    version: str
    hosts: int
    messages: int
    repeat: int = 1
    router: str = "floodsub"
    transport: str = "memory"
    loop: str = "uvloop"
    sign: str = "strict"
    seed: int = 1
    barrier: bool = True
    warmup: bool = True
    allocator: str = "pinned"
    kind: str = "timing"
    session: int = 1

    def __post_init__(self) -> None:
        if not is_name(self.version):
            raise OptionError("version", self.version, NAME)

    def key(self) -> str:
        """Give 12 hexadecimal digits that are the same for the same parameters, in every process.

        A run of the first session has the key that it had before there were sessions.
        """
        told = vars(self) | {"version": stored_version(self.version)}
        if self.session == 1:
            del told["session"]
        text = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def file_name(self) -> str:
        """Name the file of this run inside its sweep's folder."""
        session = f"-s{self.session}" if self.session > 1 else ""
        return f"{stored_version(self.version)}-h{self.hosts}-m{self.messages}{session}-r{self.repeat}-{self.key()}.parquet"


def stored_version(version: str) -> str:
    """Return the name that a version is stored under, in files and in their names."""
    return _STORED_AS.get(version, version)


def version_stored_as(name: str) -> str:
    """Return the version that is stored under a name."""
    return _VERSIONS.get(name, name)


def is_name(value: object) -> bool:
    """Return whether a value is a valid name of a version or program, which excludes paths."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


PARAMETERS = tuple(entry.name for entry in fields(RunParameters))
"""Names of the parameter columns, in their order."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The result of a run.

    Attributes:
        parameters: its parameters.
        outcome: one of OUTCOMES.
        error: one sentence, empty when the outcome is "ok".
        order: position in the sweep, from 0.
        limit_s: time limit of the run in seconds.
        rows: the numbers; one of them is always (run, failures, 0 or 1).
        provenance: facts about machine and software; JSON values only.
        version: the version's own description of its machines; JSON values only.

    Raises:
        OptionError: an outcome, error or row that does not fit the table of metrics.
    """

    parameters: RunParameters
    outcome: str
    rows: tuple[Row, ...]
    error: str = ""
    order: int = 0
    limit_s: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    version: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ending(self.outcome, self.error, self.rows)

    @property
    def pair(self) -> str:
        """Identifier of the pair of runs measured together; "" if unknown."""
        told = self.provenance.get(PAIR, "")
        return told if isinstance(told, str) else ""

    def value(self, phase: str, name: str) -> int | None:
        """Return one number, or None if the run did not get that far."""
        return next((row.value for row in self.rows if row.phase == phase and row.metric == name), None)


def check_ending(outcome: object, error: object, rows: Sequence[Row]) -> None:
    """Check the outcome of a run.

    Args:
        outcome: should be one of OUTCOMES.
        error: should be one sentence, empty when the outcome is "ok".
        rows: the numbers.

    Raises:
        OptionError: an outcome, error or row that does not fit the table of metrics; a text that cannot be stored.
        OptionConflict: the error or the count of failures does not go with the outcome.
    """
    if outcome not in OUTCOMES:
        raise OptionError("outcome", outcome, f"one of {', '.join(OUTCOMES)}")
    if not _is_text(error):
        raise OptionError("error", error, "a sentence, or an empty text")
    if (outcome == "ok") != (error == ""):
        raise OptionConflict("error", error, "outcome", outcome, "a run has an error exactly if it is not ok")
    seen: set[tuple[str, str]] = set()
    for row in rows:
        _check_row(row)
        if row[:2] in seen:
            raise OptionError("rows", row, "each metric once per phase")
        seen.add(row[:2])
    failures = next((row.value for row in rows if row[:2] == (RUN, "failures")), None)
    if failures != int(outcome != "ok"):
        raise OptionConflict(
            "failures", failures, "outcome", outcome, "the row (run, failures) is 0 for ok and 1 otherwise"
        )


def _check_row(row: Row) -> None:
    if not _is_text(row.phase):
        raise OptionError("rows", row.phase, "the name of a phase")
    if not isinstance(row.metric, str) or row.metric not in METRICS or not METRICS[row.metric].fits(row.phase):
        raise OptionError("rows", row.metric, f"a metric of the table for {row.phase!r}")
    if type(row.value) is not int or row.value not in _INT64:
        raise OptionError(row.metric, row.value, "a 64-bit whole number")


def _is_text(value: object) -> bool:
    """Return whether a value is a string that UTF-8 can encode, without lone surrogates."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
