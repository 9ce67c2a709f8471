"""What is one run? Its parameters, its outcome and its rows of raw integers; knows no file format."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from pubsub_sim.errors import OptionError
from pubsub_sim.results.metrics import METRICS, RUN

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTCOMES = ("ok", "failed", "timeout", "crashed")
"""How a run can end: as asked, with a wrong result or an exception, at its time limit, by a signal."""

_INT64 = range(-(2**63), 2**63)


class Row(NamedTuple):
    """One number of a run: of a phase, or of the run as a whole (phase "run")."""

    phase: str
    metric: str
    value: int


@dataclass(frozen=True, kw_only=True)
class RunParameters:
    """What makes two runs the same run. Each field is a column of every stored row.

    Attributes:
        version: which control flow was measured.
        hosts: number of hosts.
        messages: number of random messages in total.
        repeat: number of the repetition, from 1.
        router: routing protocol.
        transport: "memory" or "tcp".
        loop: event loop, "uvloop" or "asyncio".
        sign: "strict" or "none".
        seed: seed of the run; equal for all versions of one pair.
        barrier: whether all hosts were connected before the first message.
        warmup: whether a small run of the same version came first in the same process.
        allocator: "pinned" if glibc's malloc thresholds were fixed by the worker's environment, else "default".
        kind: "timing"; "control" for the second run of the first version in a pair; "memory", "calls" and "lag" for
            runs that a witness slows down; "field" for runs beside floors and other implementations.
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

    def key(self) -> str:
        """Give 12 hexadecimal digits that are the same for the same parameters, in every process."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def file_name(self) -> str:
        """Name the file of this run inside its sweep's folder."""
        return f"{self.version}-h{self.hosts}-m{self.messages}-r{self.repeat}-{self.key()}.parquet"


PARAMETERS = tuple(entry.name for entry in fields(RunParameters))
"""Names of the parameter columns, in their order."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything a run leaves behind.

    Attributes:
        parameters: what was run.
        outcome: one of OUTCOMES.
        error: one sentence, empty when the outcome is "ok".
        order: position in which the sweep ran it, from 0.
        limit_s: time limit of the run in seconds.
        rows: the numbers; one of them is always (run, failures, 0 or 1).
        provenance: where and with what it was measured; JSON values only.
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
        if self.outcome not in OUTCOMES:
            raise OptionError("outcome", self.outcome, f"one of {', '.join(OUTCOMES)}")
        if (self.outcome == "ok") != (self.error == ""):
            raise OptionError("error", self.error, "no sentence for an ok run and one sentence for any other")
        seen: set[tuple[str, str]] = set()
        for row in self.rows:
            _check_row(row)
            if row[:2] in seen:
                raise OptionError("rows", row, "each metric once per phase")
            seen.add(row[:2])
        if self.value(RUN, "failures") != int(self.outcome != "ok"):
            raise OptionError("rows", self.value(RUN, "failures"), "the row (run, failures), 0 for ok and 1 otherwise")

    def value(self, phase: str, name: str) -> int | None:
        """Give one number, or None where the run did not come that far."""
        return next((row.value for row in self.rows if row.phase == phase and row.metric == name), None)


def _check_row(row: Row) -> None:
    if row.metric not in METRICS or not METRICS[row.metric].fits(row.phase):
        raise OptionError("rows", row.metric, f"a metric that the table knows for {row.phase!r}")
    if type(row.value) is not int or row.value not in _INT64:
        raise OptionError(row.metric, row.value, "a 64-bit whole number")
